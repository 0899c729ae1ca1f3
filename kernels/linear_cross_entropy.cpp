#include "kernels/linear_cross_entropy.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "kernels/cpu/linear_cross_entropy.h"
#include "kernels/device/linear_cross_entropy.h"

namespace mformer::kernels {
namespace {

/// Logits at a time, 104 MB of float32 at most: each chunk reads and writes the whole gradient of the weights, so there
/// are few of them, and memory still does not grow with the batch.
constexpr int64_t kLogitsPerChunk = 26'000'000;
/// Tiles of the products have 6 rows, or 32.
constexpr int64_t kWholeTiles = 96;

void check(const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& targets) {
  TORCH_CHECK(hidden.dim() == 2, "hidden must be [tokens, in], got ", hidden.sizes());
  TORCH_CHECK(weight.dim() == 2 && weight.size(1) == hidden.size(1), "weight must be [vocab, ", hidden.size(1),
              "], got ", weight.sizes());
  TORCH_CHECK(targets.scalar_type() == at::kLong && targets.dim() == 1 && targets.size(0) == hidden.size(0),
              "targets must be int64 [", hidden.size(0), "], got ", targets.scalar_type(), " ", targets.sizes());
  TORCH_CHECK(hidden.scalar_type() == at::kFloat || hidden.scalar_type() == at::kBFloat16,
              "hidden must be float32 or bfloat16, got ", hidden.scalar_type());
  TORCH_CHECK(weight.scalar_type() == at::kFloat ||
                  (weight.scalar_type() == at::kBFloat16 && hidden.scalar_type() == at::kBFloat16),
              "weight must be float32, or bfloat16 beside bfloat16 hidden, got ", weight.scalar_type());
  TORCH_CHECK(weight.device() == hidden.device() && targets.device() == hidden.device(), "hidden is on ",
              hidden.device(), ", weight on ", weight.device(), ", targets on ", targets.device());
  if (!hidden.device().is_cpu()) return;  // the device finds out when it reads the target's logit
  const auto* target = targets.const_data_ptr<int64_t>();
  for (int64_t t = 0; t < targets.numel(); ++t) {
    TORCH_CHECK(target[t] == kIgnoredTarget || (target[t] >= 0 && target[t] < weight.size(0)), "targets[", t, "] is ",
                target[t], ", there are ", weight.size(0), " tokens");
  }
}

/// Losses, and gradients where dh and dw are defined.
at::Tensor compute(const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& targets, int64_t divisor,
                   at::Tensor& dh, at::Tensor& dw) {
  return hidden.device().is_cpu() ? cpu::linear_cross_entropy(hidden, weight, targets, divisor, dh, dw)
                                  : device::linear_cross_entropy(hidden, weight, targets, divisor, dh, dw);
}

/// x times the number `factor`. A device is not waited for.
at::Tensor times(const at::Tensor& x, const at::Tensor& factor) {
  if (!x.device().is_cpu()) return (x.to(at::kFloat) * factor).to(x.scalar_type());
  const double number = factor.item<double>();
  return number == 1.0 ? x : x * number;
}

class LinearCrossEntropy : public torch::autograd::Function<LinearCrossEntropy> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& hidden,
                            const at::Tensor& weight, const at::Tensor& targets, int64_t divisor, bool hidden_grad,
                            bool weight_grad) {
    at::Tensor dh = hidden_grad ? at::empty_like(hidden) : at::Tensor();
    at::Tensor dw = weight_grad ? at::empty(weight.sizes(), weight.options().dtype(at::kFloat)) : at::Tensor();
    const at::Tensor losses = compute(hidden, weight, targets, divisor, dh, dw);
    context->save_for_backward({dh, dw});
    context->saved_data["weight_dtype"] = static_cast<int64_t>(weight.scalar_type());
    return losses.sum(at::kDouble).div_(static_cast<double>(divisor)).to(at::kFloat);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& grads) {
    const auto saved = context->get_saved_variables();
    const auto times_upstream = [&](const at::Tensor& x) { return x.defined() ? times(x, grads[0]) : x; };
    at::Tensor dw = times_upstream(saved[1]);
    if (dw.defined()) dw = dw.to(static_cast<at::ScalarType>(context->saved_data["weight_dtype"].toInt()));
    return {times_upstream(saved[0]), dw, at::Tensor(), at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor linear_cross_entropy(const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& targets,
                                int64_t divisor) {
  check(hidden, weight, targets);
  TORCH_CHECK(divisor >= 1, "divisor must be at least 1, got ", divisor);
  const bool gradients = at::GradMode::is_enabled();
  return LinearCrossEntropy::apply(hidden.contiguous(), weight.contiguous(), targets.contiguous(), divisor,
                                   gradients && hidden.requires_grad(), gradients && weight.requires_grad());
}

at::Tensor linear_cross_entropy_losses(const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& targets) {
  check(hidden, weight, targets);
  const at::NoGradGuard no_gradients;
  at::Tensor none;
  return compute(hidden.contiguous(), weight.contiguous(), targets.contiguous(), 1, none, none);
}

int64_t tokens_per_chunk(int64_t tokens, int64_t vocab) {
  if (tokens == 0) return 1;
  const int64_t most = std::clamp<int64_t>(kLogitsPerChunk / vocab, 48, 528), chunks = (tokens + most - 1) / most;
  // Equal ones, for a last one of a few tokens would read and write as much.
  const int64_t equal = (tokens + chunks - 1) / chunks;
  return std::min(most, (equal + kWholeTiles - 1) / kWholeTiles * kWholeTiles);
}

}  // namespace mformer::kernels
