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

/// The reverse: code · scale, rounded to `dtype` once. A model without int8 modules stays as it is.
void dequantize(Model& model, at::ScalarType dtype);

/// One matrix of a module as numbers: codes [in, out] · scale [out] in `dtype`, or, where `scale` is undefined (the
/// module is not quantised), `matrix` itself.
at::Tensor dequantized(const at::Tensor& matrix, const at::Tensor& scale, at::ScalarType dtype);

}  // namespace mformer
