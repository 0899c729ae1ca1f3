#include "kernels/device/adamw.h"

#include <ATen/ScalarOps.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_addcdiv.h>
#include <ATen/ops/_foreach_addcmul.h>
#include <ATen/ops/_foreach_copy.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_foreach_sqrt.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/stack.h>

#include <algorithm>
#include <cmath>

#include "kernels/device/fused.h"
#include "kernels/device/kernel_switch.h"

namespace mformer::kernels::device {
namespace {

constexpr std::int64_t kWeightsPerGroup = 1 << 24;

using Tensors = std::vector<at::Tensor>;

/// In the dtype of the moments: the tensors themselves, or copies.
Tensors in_dtype_of(const Tensors& moments, const Tensors& tensors) {
  Tensors result;
  for (std::size_t i = 0; i < tensors.size(); ++i) result.push_back(tensors[i].to(moments[i].scalar_type()));
  return result;
}

/// Tensors that are updated together: all with a gradient, or all without.
struct Group {
  Tensors weight, gradient, exp_avg, exp_avg_sq;
  std::vector<at::Scalar> kept;  ///< Factors of the weights' decay.
  std::int64_t weights = 0;

  void add(const AdamWTensor& tensor, const AdamWStep& step) {
    weight.push_back(tensor.weight);
    if (tensor.gradient.defined()) gradient.push_back(tensor.gradient);
    exp_avg.push_back(tensor.exp_avg);
    exp_avg_sq.push_back(tensor.exp_avg_sq);
    kept.emplace_back(tensor.decay ? 1 - step.learning_rate * step.weight_decay : 1.0);
    weights += tensor.weight.numel();
  }

  void update(const AdamWStep& step) {
    if (weight.empty()) return;
    at::_foreach_mul_(exp_avg, step.beta1);
    at::_foreach_mul_(exp_avg_sq, step.beta2);
    if (!gradient.empty()) {
      Tensors scaled = in_dtype_of(exp_avg, gradient);
      if (step.gradient_scale != 1) scaled = at::_foreach_mul(scaled, step.gradient_scale);
      at::_foreach_add_(exp_avg, scaled, 1 - step.beta1);
      at::_foreach_addcmul_(exp_avg_sq, scaled, scaled, 1 - step.beta2);
    }
    const auto number = static_cast<double>(step.number);
    const Tensors root = at::_foreach_sqrt(exp_avg_sq);
    at::_foreach_mul_(root, 1 / std::sqrt(1 - std::pow(step.beta2, number)));
    at::_foreach_add_(root, step.epsilon);
    const Tensors updated = in_dtype_of(exp_avg, weight);
    at::_foreach_mul_(updated, kept);
    at::_foreach_addcdiv_(updated, exp_avg, root, -step.learning_rate / (1 - std::pow(step.beta1, number)));
    for (std::size_t i = 0; i < weight.size(); ++i) {
      if (!updated[i].is_same(weight[i])) weight[i].copy_(updated[i]);
    }
  }
};

}  // namespace

void composite::adamw_step(const std::vector<AdamWTensor>& tensors, const AdamWStep& step) {
  const at::NoGradGuard no_grad;
  Group groups[2];
  for (const AdamWTensor& tensor : tensors) {
    Group& group = groups[tensor.gradient.defined() ? 1 : 0];
    if (group.weights + tensor.weight.numel() > kWeightsPerGroup) {
      group.update(step);
      group = {};
    }
    group.add(tensor, step);
  }
  for (Group& group : groups) group.update(step);
}

void adamw_step(const std::vector<AdamWTensor>& tensors, const AdamWStep& step) {
  if (tensors.empty()) return;
  const bool fits = std::all_of(tensors.begin(), tensors.end(), fused::takes_adamw);
  fits&& uses_kernel(Kernel::adamw, tensors[0].weight.device()) ? fused::adamw_step(tensors, step)
                                                                : composite::adamw_step(tensors, step);
}

double gradient_norm(const std::vector<at::Tensor>& gradients) {
  const at::NoGradGuard no_grad;
  if (gradients.empty()) return 0;
  const Tensors norms = at::_foreach_norm(gradients, 2, at::kDouble);
  return at::linalg_vector_norm(at::stack(norms)).item<double>();
}

}  // namespace mformer::kernels::device
