#include "core/training/adamw.h"

#include <ATen/OpMathType.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros_like.h>

#include "kernels/adamw.h"

namespace mformer {

AdamW::AdamW(std::vector<TrainedParameter> parameters, const AdamWOptions& options)
    : parameters_(std::move(parameters)), options_(options) {
  for (const TrainedParameter& parameter : parameters_) {
    const at::TensorOptions moments(at::toOpMathType(parameter.tensor.scalar_type()));
    exp_avg_.push_back(at::zeros_like(parameter.tensor, moments));
    exp_avg_sq_.push_back(at::zeros_like(parameter.tensor, moments));
    const bool rounded = parameter.tensor.scalar_type() != moments.dtype().toScalarType();
    masters_.push_back(rounded ? parameter.tensor.detach().to(moments.dtype().toScalarType()) : at::Tensor());
  }
}

double AdamW::gradient_norm() const {
  std::vector<at::Tensor> grads;
  grads.reserve(parameters_.size());
  for (const TrainedParameter& parameter : parameters_) grads.push_back(gradient(parameter));
  return kernels::gradient_norm(grads);
}

void AdamW::step(double learning_rate, double gradient_scale) {
  ++steps_;
  std::vector<kernels::AdamWTensor> tensors;
  tensors.reserve(parameters_.size());
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const TrainedParameter& parameter = parameters_[i];
    const at::Tensor& master = masters_[i];
    at::Tensor grad = gradient(parameter);
    if (master.defined() && grad.defined()) grad = grad.to(master.scalar_type());
    tensors.push_back(
        {master.defined() ? master : parameter.tensor, grad, exp_avg_[i], exp_avg_sq_[i], parameter.decay});
  }
  kernels::adamw_step(tensors, {steps_, learning_rate, options_.beta1, options_.beta2, options_.epsilon,
                                options_.weight_decay, gradient_scale});
  const at::NoGradGuard no_grad;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    if (masters_[i].defined()) parameters_[i].tensor.copy_(masters_[i]);
  }
}

/// Autograd lays gradients out like their parameters but for ones that came as views.
at::Tensor AdamW::gradient(const TrainedParameter& parameter) {
  const at::Tensor& grad = parameter.tensor.grad();
  return grad.defined() ? grad.contiguous() : grad;
}

void AdamW::clear_gradients() {
  for (TrainedParameter& parameter : parameters_) parameter.tensor.mutable_grad().reset();
}

std::int64_t AdamW::state_bytes() const {
  std::int64_t bytes = 0;
  for (const auto& [name, tensor] : state()) bytes += static_cast<std::int64_t>(tensor.nbytes());
  return bytes;
}

std::vector<std::pair<std::string, at::Tensor>> AdamW::state() const {
  std::vector<std::pair<std::string, at::Tensor>> all;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    all.emplace_back(parameters_[i].name + ".exp_avg", exp_avg_[i]);
    all.emplace_back(parameters_[i].name + ".exp_avg_sq", exp_avg_sq_[i]);
    if (masters_[i].defined()) all.emplace_back(parameters_[i].name + ".master", masters_[i]);
  }
  return all;
}

}  // namespace mformer
