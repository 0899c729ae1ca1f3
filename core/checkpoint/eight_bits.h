#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string>

#include "core/formats/parameter_shapes.h"
#include "core/model/model.h"

namespace mformer {

// A domain's matrices in 8 bits a weight. They are numbers as all others wherever the model computes, trains or is
// exported; but after round_domain() each is a number that a block of 8 bits (kernels/quantised_blocks.h) stands for
// exactly, so that the registry keeps the blocks and reads the same bits back. What is trained later is no such number
// any more and is kept as it is.

/// [rows, inputs], the nearest to `rows` that exact_eight_bits() takes, of the same dtype; `rows` itself where a weight
/// is not finite or beyond kernels::kMostInBlocks. A weight is off by half of its group's scale at most, which is the
/// largest magnitude in the group / 127, and of 16-bit dtypes the next power of two, so that code · scale is one of
/// their numbers.
at::Tensor rounded_to_eight_bits(const at::Tensor& rows);

/// Blocks of 8 bits whose values in the dtype of `rows` are `rows`, bit for bit; nothing if there are none. The same
/// rows give the same blocks.
std::optional<at::Tensor> exact_eight_bits(const at::Tensor& rows);

/// Rounds the matrices of the domain `name`, modules and private parts, and marks it Domain::eight_bits. Norms, biases
/// and routers stay. What other hypotheses read stays the same tensors.
void round_domain(Model& model, const std::string& name);

/// A matrix as it is stored, of this shape: its blocks where they are exact, otherwise `matrix`.
at::Tensor in_eight_bits(const at::Tensor& matrix, const ParameterShape& shape);
/// The reverse, numbers of `dtype`; `stored` itself where it holds no blocks, or none of that shape's inputs.
at::Tensor from_eight_bits(const at::Tensor& stored, const ParameterShape& shape, at::ScalarType dtype);

}  // namespace mformer
