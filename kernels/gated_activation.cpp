#include "kernels/gated_activation.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include "kernels/cpu/gated_activation.h"
#include "kernels/cpu/rows.h"
#include "kernels/device/operations.h"

namespace mformer::kernels {
namespace {

/// visit(a value of x's type) for what our own loops take; false for other dtypes and devices.
template <typename Visit>
bool with_gated_type(const at::Tensor& x, const Visit& visit) {
  if (!x.device().is_cpu()) return false;
  if (x.scalar_type() == at::kFloat) return visit(float{}), true;
  if (x.scalar_type() == at::kBFloat16) return visit(c10::BFloat16{}), true;
  return false;
}

constexpr int64_t kOperationsPerValue = 4;

/// x [rows, 2 · hidden], contiguous.
at::Tensor gate_rows(const at::Tensor& x, Activation activation) {
  const int64_t hidden = x.size(1) / 2;
  at::Tensor y = at::empty({x.size(0), hidden}, x.options());
  const bool done = with_gated_type(x, [&](auto value) {
    using T = decltype(value);
    const T* from = x.const_data_ptr<T>();
    T* to = y.mutable_data_ptr<T>();
    cpu::for_each_row(x.size(0), kOperationsPerValue * hidden, [&](int64_t r) {
      const T* gate = from + r * 2 * hidden;
      cpu::gated_row(activation, gate, gate + hidden, hidden, to + r * hidden);
    });
  });
  return done ? y : device::gated_activation(x, activation);
}

at::Tensor gate_rows_backward(const at::Tensor& grad, const at::Tensor& x, Activation activation) {
  const int64_t hidden = x.size(1) / 2;
  at::Tensor dx = at::empty_like(x);
  const bool done = with_gated_type(x, [&](auto value) {
    using T = decltype(value);
    const T *dy = grad.const_data_ptr<T>(), *from = x.const_data_ptr<T>();
    T* to = dx.mutable_data_ptr<T>();
    cpu::for_each_row(x.size(0), 2 * kOperationsPerValue * hidden, [&](int64_t r) {
      const int64_t gate = r * 2 * hidden, up = gate + hidden;
      cpu::gated_row_backward(activation, dy + r * hidden, from + gate, from + up, hidden, to + gate, to + up);
    });
  });
  return done ? dx : device::gated_activation_backward(grad, x, activation);
}

class GatedActivation : public torch::autograd::Function<GatedActivation> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x, Activation activation) {
    context->save_for_backward({x});
    context->saved_data["activation"] = static_cast<int64_t>(activation);
    return gate_rows(x, activation);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& grads) {
    const auto activation = static_cast<Activation>(context->saved_data["activation"].toInt());
    return {gate_rows_backward(grads[0].contiguous(), context->get_saved_variables()[0], activation), at::Tensor()};
  }
};

}  // namespace

at::Tensor gated_activation(const at::Tensor& x, Activation activation) {
  TORCH_CHECK(x.dim() == 2 && x.is_floating_point() && x.size(1) % 2 == 0,
              "x must be floating-point [rows, 2 · hidden], got ", x.scalar_type(), " ", x.sizes());
  const at::Tensor rows = x.contiguous();
  return at::GradMode::is_enabled() ? GatedActivation::apply(rows, activation) : gate_rows(rows, activation);
}

}  // namespace mformer::kernels
