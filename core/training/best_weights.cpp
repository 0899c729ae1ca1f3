#include "core/training/best_weights.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros_like.h>

#include <cmath>
#include <limits>

namespace mformer {
namespace {

enum Number : int { noted_step, lowest_loss, lowest_step, validations_since };

}  // namespace

BestWeights::BestWeights(const std::vector<TrainedParameter>& parameters, const ValidationOptions& options)
    : parameters_(parameters),
      options_(options),
      numbers_(at::tensor({0.0, std::numeric_limits<double>::infinity(), 0.0, 0.0}, at::kDouble)) {
  if (!options.keep_best) return;
  for (const TrainedParameter& parameter : parameters_) {
    weights_.push_back(at::zeros_like(parameter.tensor.detach(), at::TensorOptions(at::kCPU)));
  }
}

void BestWeights::note(std::int64_t step, double loss) {
  auto* numbers = numbers_.mutable_data_ptr<double>();
  if (!options_.chooses() || static_cast<double>(step) <= numbers[noted_step]) return;
  numbers[noted_step] = static_cast<double>(step);
  if (!(loss < numbers[lowest_loss])) {
    numbers[validations_since] += 1;
    return;
  }
  numbers[lowest_loss] = loss;
  numbers[lowest_step] = static_cast<double>(step);
  numbers[validations_since] = 0;
  for (std::size_t i = 0; i < weights_.size(); ++i) weights_[i].copy_(parameters_[i].tensor.detach());
}

bool BestWeights::is_stale() const {
  return options_.patience > 0 &&
         numbers_.const_data_ptr<double>()[validations_since] >= static_cast<double>(options_.patience);
}

std::optional<std::int64_t> BestWeights::kept_step() const {
  const auto step = std::llround(numbers_.const_data_ptr<double>()[lowest_step]);
  if (!options_.keep_best || step == 0) return std::nullopt;
  return step;
}

double BestWeights::lowest() const {
  return numbers_.const_data_ptr<double>()[lowest_loss];
}

void BestWeights::restore() const {
  const at::NoGradGuard no_grad;
  for (std::size_t i = 0; i < weights_.size(); ++i) parameters_[i].tensor.copy_(weights_[i]);
}

NamedTensors BestWeights::state() const {
  if (!options_.chooses()) return {};
  NamedTensors tensors = {{"validations", numbers_}};
  for (std::size_t i = 0; i < weights_.size(); ++i) {
    tensors.emplace_back("best." + parameters_[i].name, weights_[i]);
  }
  return tensors;
}

}  // namespace mformer
