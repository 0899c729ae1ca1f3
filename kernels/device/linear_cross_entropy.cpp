#include "kernels/device/linear_cross_entropy.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <cstdint>

#include "kernels/device/products.h"
#include "kernels/linear_cross_entropy.h"

namespace mformer::kernels::device {
namespace {

constexpr std::int64_t kLogitsPerChunk = 1 << 26;  // 256 MiB of float32, and as much of their gradients

}  // namespace

at::Tensor linear_cross_entropy(const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& targets,
                                std::int64_t divisor, at::Tensor& dh, at::Tensor& dw) {
  const std::int64_t tokens = hidden.size(0);
  const std::int64_t step = std::max<std::int64_t>(128, kLogitsPerChunk / std::max<std::int64_t>(1, weight.size(0)));
  const at::Tensor head = weight.to(hidden.scalar_type());
  const at::Tensor counted = targets.ne(kIgnoredTarget);
  const float scale = 1.0F / static_cast<float>(divisor);
  at::Tensor losses = at::empty({tokens}, hidden.options().dtype(at::kFloat));
  if (dw.defined()) dw.zero_();
  for (std::int64_t first = 0; first < tokens; first += step) {
    const std::int64_t count = std::min(step, tokens - first);
    const at::Tensor x = hidden.narrow(0, first, count), real = counted.narrow(0, first, count).unsqueeze(1);
    const at::Tensor target = targets.narrow(0, first, count).unsqueeze(1).masked_fill(real.logical_not(), 0);
    const at::Tensor logits = wide_mm(x, head.t());
    const at::Tensor log_sum = at::logsumexp(logits, {1}, true);
    losses.narrow(0, first, count).copy_((log_sum - logits.gather(1, target)).mul_(real).squeeze(1));
    if (!dh.defined() && !dw.defined()) continue;
    const at::Tensor p = (logits - log_sum).exp_();
    p.scatter_(1, target, p.gather(1, target) - 1);
    const at::Tensor dz = p.mul_(real).mul_(scale).to(hidden.scalar_type());
    if (dh.defined()) dh.narrow(0, first, count).copy_(at::mm(dz, head));
    if (dw.defined()) dw.add_(wide_mm(dz.t(), x));
  }
  return losses;
}

}  // namespace mformer::kernels::device
