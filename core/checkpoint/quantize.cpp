#include "core/checkpoint/quantize.h"

#include <ATen/ops/aminmax.h>

#include <cmath>

#include "kernels/packed_linear.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

void quantize_matrix(at::Tensor& matrix, at::Tensor& scale) {
  if (!scale.defined()) std::tie(matrix, scale) = quantized(matrix);
}

}  // namespace

std::pair<at::Tensor, at::Tensor> quantized(const at::Tensor& matrix) {
  const auto [least, most] = at::aminmax(matrix);
  if (!std::isfinite(least.item<double>()) || !std::isfinite(most.item<double>())) {
    throw Error("a module holds a weight that is not finite, which int8 can't represent",
                "the training that made it went astray: go back with mformer undo, or export without --quantize");
  }
  return kernels::quantize_int8(matrix.detach());
}

void quantize(Model& model) {
  for_each_module(model, [](Module& module) {
    quantize_matrix(module.in, module.in_scale);
    quantize_matrix(module.out, module.out_scale);
  });
  model.config.quantization = "int8";
}

void dequantize(Model& model, at::ScalarType dtype) {
  for_each_module(model, [dtype](Module& module) {
    module.in = dequantized(module.in, module.in_scale, dtype);
    module.out = dequantized(module.out, module.out_scale, dtype);
    module.in_scale = module.out_scale = at::Tensor();
  });
  model.config.quantization.clear();
}

at::Tensor dequantized(const at::Tensor& matrix, const at::Tensor& scale, at::ScalarType dtype) {
  return scale.defined() ? (matrix.to(at::kFloat) * scale).to(dtype) : matrix;
}

}  // namespace mformer
