#pragma once

#include <ATen/core/Tensor.h>

#include <utility>

#include "core/model/model.h"

namespace mformer {

/// Turns the two matrices of every module, nearly all weights of these models, into int8 codes with a float32 scale for
/// each output channel (kernels/packed_linear.h says how); an error is at most half a scale. Modules that are int8
/// already keep their bits. One module at a time, so that no second copy of the model is made. Embedding, head, norms,
/// routers, keys and values stay as they are. Throws Error if a weight is not finite.
void quantize(Model& model);

/// The same of one matrix [in, out]: its codes and their scales [out].
std::pair<at::Tensor, at::Tensor> quantized(const at::Tensor& matrix);

/// The reverse: numbers of `dtype`, each rounded once, for all matrices that are quantised, by output channel or in
/// groups, those of domains too. A model without such stays as it is.
void dequantize(Model& model, at::ScalarType dtype);

/// One matrix of a module as numbers [in, out]: codes · scale [out], or what blocks of `inputs` inputs hold, in
/// `dtype`; `matrix` itself where it is neither.
at::Tensor dequantized(const at::Tensor& matrix, const at::Tensor& scale, std::int64_t inputs, at::ScalarType dtype);

/// A parameter of the config's model, quantised as its shape (core/formats/parameter_shapes.h) says: blocks of 8 or 4
/// bits. Throws Error, with a hint, where a weight is not finite or beyond what blocks hold.
at::Tensor quantized_parameter(const at::Tensor& parameter, const ParameterShape& shape);
/// The reverse, as the model's own matrix.
at::Tensor dequantized_parameter(const at::Tensor& blocks, const ParameterShape& shape, at::ScalarType dtype);

}  // namespace mformer
