#include "kernels/device/softmax_top_k.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/sort.h>
#include <ATen/ops/zeros_like.h>

namespace mformer::kernels::device::composite {

std::tuple<at::Tensor, at::Tensor, at::Tensor> softmax_top_k(const at::Tensor& logits, std::int64_t k) {
  const at::Tensor p = at::softmax(logits, 1);
  // A stable sort, and not topk, which takes any of equals.
  const auto [sorted, order] = at::sort(p, /*stable=*/std::optional<bool>(true), /*dim=*/1, /*descending=*/true);
  return {p, sorted.narrow(1, 0, k).contiguous(), order.narrow(1, 0, k).contiguous()};
}

at::Tensor softmax_top_k_backward(const at::Tensor& p, const at::Tensor& modules, const at::Tensor& grad_p,
                                  const at::Tensor& grad_gates) {
  const at::Tensor dp = grad_p.defined() ? grad_p.clone(at::MemoryFormat::Contiguous) : at::zeros_like(p);
  if (grad_gates.defined()) dp.scatter_add_(1, modules, grad_gates);
  return dp.sub_((p * dp).sum(1, true)).mul_(p);
}

}  // namespace mformer::kernels::device::composite
