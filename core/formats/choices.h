#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mformer {

/// What a router's logits are made by (docs/model.md).
enum class GateType { mlp, linear, gmm };

/// What keeps modules in use (core/model/losses.h). `joint`: one sum over all routers, as transformers has it.
enum class BalanceLoss { mi, switch_transformer, joint };

/// What comes between the maps of a feed-forward module, by transformers' names.
enum class ActivationFunction { gelu_new, gelu, relu, silu, tanh };

/// The values with their names in a config.json.
template <class Choice>
const std::vector<std::pair<Choice, std::string_view>>& spellings();
template <>
const std::vector<std::pair<GateType, std::string_view>>& spellings();
template <>
const std::vector<std::pair<BalanceLoss, std::string_view>>& spellings();
template <>
const std::vector<std::pair<ActivationFunction, std::string_view>>& spellings();

template <class Choice>
std::string_view to_string(Choice choice) {
  for (const auto& [known, name] : spellings<Choice>()) {
    if (known == choice) return name;
  }
  return {};
}

template <class Choice>
std::optional<Choice> choice_from(std::string_view text) {
  for (const auto& [known, name] : spellings<Choice>()) {
    if (name == text) return known;
  }
  return std::nullopt;
}

/// "mlp, linear, gmm"
template <class Choice>
std::string names_of() {
  std::string list;
  for (const auto& [known, name] : spellings<Choice>()) list.append(list.empty() ? "" : ", ").append(name);
  return list;
}

}  // namespace mformer
