#include "kernels/gated_activation.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/tanh.h>

namespace mformer::kernels {
namespace {

at::Tensor activated(Activation activation, const at::Tensor& x) {
  switch (activation) {
    case Activation::gelu_tanh:
      return at::gelu(x, "tanh");
    case Activation::gelu:
      return at::gelu(x);
    case Activation::relu:
      return at::relu(x);
    case Activation::silu:
      return at::silu(x);
    case Activation::tanh:
      return at::tanh(x);
  }
  TORCH_CHECK(false, "activation is none of the known");
}

}  // namespace

at::Tensor gated_activation(const at::Tensor& x, Activation activation) {
  TORCH_CHECK(x.dim() == 2 && x.is_floating_point() && x.size(1) % 2 == 0,
              "x must be floating-point [rows, 2 · hidden], got ", x.scalar_type(), " ", x.sizes());
  const at::ScalarType wide = x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  const std::int64_t hidden = x.size(1) / 2;
  const at::Tensor gate = x.narrow(1, 0, hidden).to(wide), up = x.narrow(1, hidden, hidden).to(wide);
  return (activated(activation, gate) * up).to(x.scalar_type());
}

}  // namespace mformer::kernels
