#include "core/formats/choices.h"

namespace mformer {

template <>
const std::vector<std::pair<GateType, std::string_view>>& spellings() {
  static const std::vector<std::pair<GateType, std::string_view>> all = {
      {GateType::mlp, "mlp"}, {GateType::linear, "linear"}, {GateType::gmm, "gmm"}};
  return all;
}

template <>
const std::vector<std::pair<BalanceLoss, std::string_view>>& spellings() {
  static const std::vector<std::pair<BalanceLoss, std::string_view>> all = {
      {BalanceLoss::mi, "mi"}, {BalanceLoss::switch_transformer, "switch"}, {BalanceLoss::joint, "joint"}};
  return all;
}

template <>
const std::vector<std::pair<ActivationFunction, std::string_view>>& spellings() {
  static const std::vector<std::pair<ActivationFunction, std::string_view>> all = {
      {ActivationFunction::gelu_new, "gelu_new"},
      {ActivationFunction::gelu, "gelu"},
      {ActivationFunction::relu, "relu"},
      {ActivationFunction::silu, "silu"},
      {ActivationFunction::tanh, "tanh"}};
  return all;
}

}  // namespace mformer
