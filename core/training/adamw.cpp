#include "core/training/adamw.h"

#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros_like.h>

namespace mformer {

AdamW::AdamW(std::vector<TrainedParameter> parameters, const AdamWOptions& options)
    : parameters_(std::move(parameters)), options_(options) {
  for (const TrainedParameter& parameter : parameters_) {
    exp_avg_.push_back(at::zeros_like(parameter.tensor));
    exp_avg_sq_.push_back(at::zeros_like(parameter.tensor));
  }
}

double AdamW::gradient_norm() const {
  std::vector<at::Tensor> grads;
  for (const TrainedParameter& parameter : parameters_) {
    if (parameter.tensor.grad().defined()) grads.push_back(parameter.tensor.grad());
  }
  if (grads.empty()) return 0.0;
  return at::linalg_vector_norm(at::stack(at::_foreach_norm(grads, 2))).item<double>();
}

void AdamW::step(double learning_rate, double gradient_scale) {
  ++steps_;
  step_group(true, learning_rate, gradient_scale);
  step_group(false, learning_rate, gradient_scale);
}

void AdamW::step_group(bool decay, double learning_rate, double gradient_scale) {
  std::vector<at::Tensor> tensors, grads, exp_avg, exp_avg_sq;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    if (parameters_[i].decay != decay) continue;
    const at::Tensor grad = parameters_[i].tensor.grad();
    tensors.push_back(parameters_[i].tensor.detach());
    grads.push_back(grad.defined() ? grad : at::zeros_like(tensors.back()));
    exp_avg.push_back(exp_avg_[i]);
    exp_avg_sq.push_back(exp_avg_sq_[i]);
  }
  if (tensors.empty()) return;
  const std::vector<at::Tensor> steps(tensors.size(), at::full({}, static_cast<double>(steps_), at::kFloat));
  // The fused kernel divides gradients by grad_scale.
  const at::Tensor divisor = at::full({}, 1.0 / gradient_scale, at::kFloat);
  at::_fused_adamw_(tensors, grads, exp_avg, exp_avg_sq, {}, steps, learning_rate, options_.beta1, options_.beta2,
                    decay ? options_.weight_decay : 0.0, options_.epsilon, /*amsgrad=*/false, /*maximize=*/false,
                    gradient_scale == 1.0 ? std::optional<at::Tensor>() : divisor);
}

void AdamW::clear_gradients() {
  for (TrainedParameter& parameter : parameters_) parameter.tensor.mutable_grad().reset();
}

std::int64_t AdamW::state_bytes() const {
  std::int64_t bytes = 0;
  for (const at::Tensor& moment : exp_avg_) bytes += 2 * static_cast<std::int64_t>(moment.nbytes());
  return bytes;
}

std::vector<std::pair<std::string, at::Tensor>> AdamW::state() const {
  std::vector<std::pair<std::string, at::Tensor>> all;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    all.emplace_back(parameters_[i].name + ".exp_avg", exp_avg_[i]);
    all.emplace_back(parameters_[i].name + ".exp_avg_sq", exp_avg_sq_[i]);
  }
  return all;
}

}  // namespace mformer
