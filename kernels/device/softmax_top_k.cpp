#include "kernels/device/softmax_top_k.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/sort.h>
#include <ATen/ops/zeros_like.h>

namespace mformer::kernels::device::composite {

namespace {

/// The gradient of x for that of y = softmax(x).
at::Tensor softmax_gradient(const at::Tensor& y, const at::Tensor& grad) {
  return (grad - (y * grad).sum(1, true)).mul_(y);
}

}  // namespace

std::tuple<at::Tensor, at::Tensor, at::Tensor> softmax_top_k(const at::Tensor& logits, std::int64_t k,
                                                             ChoiceForm form) {
  const at::Tensor p = at::softmax(logits, 1);
  // A stable sort, and not topk, which takes any of equals.
  const auto [sorted, order] = at::sort(form.top_k_first ? logits : p, /*stable=*/std::optional<bool>(true), /*dim=*/1,
                                        /*descending=*/true);
  at::Tensor gates = sorted.narrow(1, 0, k).contiguous();
  if (form.top_k_first) {
    gates = at::softmax(gates, 1);
  } else if (form.renormalise) {
    gates.div_(gates.sum(1, true));
  }
  return {p, gates, order.narrow(1, 0, k).contiguous()};
}

at::Tensor softmax_top_k_backward(const at::Tensor& p, const at::Tensor& modules, const at::Tensor& unit_gates,
                                  const at::Tensor& grad_p, const at::Tensor& grad_gates) {
  const at::Tensor dp = grad_p.defined() ? grad_p.clone(at::MemoryFormat::Contiguous) : at::zeros_like(p);
  if (grad_gates.defined() && !unit_gates.defined()) dp.scatter_add_(1, modules, grad_gates);
  at::Tensor grad = softmax_gradient(p, dp);
  if (grad_gates.defined() && unit_gates.defined()) {
    grad.scatter_add_(1, modules, softmax_gradient(unit_gates, grad_gates));
  }
  return grad;
}

}  // namespace mformer::kernels::device::composite
