#include <ATen/OpMathType.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/gelu_backward.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/silu_backward.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/tanh_backward.h>
#include <ATen/ops/threshold_backward.h>

#include "kernels/device/row_kernels.h"

namespace mformer::kernels::device::composite {
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

at::Tensor activated_backward(Activation activation, const at::Tensor& grad, const at::Tensor& x) {
  switch (activation) {
    case Activation::gelu_tanh:
      return at::gelu_backward(grad, x, "tanh");
    case Activation::gelu:
      return at::gelu_backward(grad, x);
    case Activation::relu:
      return at::threshold_backward(grad, x, 0);
    case Activation::silu:
      return at::silu_backward(grad, x);
    case Activation::tanh:
      return at::tanh_backward(grad, at::tanh(x));
  }
  TORCH_CHECK(false, "activation is none of the known");
}

/// Gate and up of [rows, 2 · hidden] in the dtype of sums.
std::pair<at::Tensor, at::Tensor> gate_and_up(const at::Tensor& x) {
  const std::int64_t hidden = x.size(1) / 2;
  const auto wide = at::toOpMathType(x.scalar_type());
  return {x.narrow(1, 0, hidden).to(wide), x.narrow(1, hidden, hidden).to(wide)};
}

}  // namespace

at::Tensor gated_activation(const at::Tensor& x, Activation activation) {
  const auto [gate, up] = gate_and_up(x);
  return activated(activation, gate).mul_(up).to(x.scalar_type());
}

at::Tensor gated_activation_backward(const at::Tensor& grad, const at::Tensor& x, Activation activation) {
  const auto [gate, up] = gate_and_up(x);
  const at::Tensor dy = grad.to(gate.scalar_type());
  return at::cat({activated_backward(activation, dy * up, gate), activated(activation, gate).mul_(dy)}, 1)
      .to(x.scalar_type());
}

}  // namespace mformer::kernels::device::composite
