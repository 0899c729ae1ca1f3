#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/checkpoint/hub_folder.h"
#include "core/families/family.h"
#include "core/formats/model_config.h"

namespace mformer {

/// What a parameter may be stored as.
enum class ParameterType {
  floating,  ///< F32, BF16 or F16.
  codes,     ///< I8: the matrices of a module that is quantised by output channel.
  scale,     ///< F32, finite and above 0: what an output channel of codes is multiplied by.
  blocks     ///< U8: a matrix quantised in groups, whose scales and minima are finite.
};

/// One parameter of a checkpoint.
struct ParameterSpec {
  std::string name;                 ///< The reference's name, e.g. "transformer.h.0.mlpf.experts.weight".
  std::vector<std::int64_t> shape;  ///< As stored; docs/checkpoints.md names the dimensions.
  ParameterType type = ParameterType::floating;
};

/// Every tensor that a checkpoint of this (validated) config has in this layout, in the order in which they are
/// written. A tied head is not listed. Scales (of a quantised config) follow their codes.
std::vector<ParameterSpec> parameter_layout(const ModelConfig& config, const Family& layout);
/// In the layout of the config's own family.
std::vector<ParameterSpec> parameter_layout(const ModelConfig& config);

/// Throws Error unless the folder's safetensors hold exactly the parameters of its config (those that a family ignores,
/// and the head of a tied model, aside): the first missing, unknown or misshapen one is named, as is one of another
/// dtype than its type allows, and a scale that is not a finite number above 0.
void check_parameters(const HubFolder& folder);

}  // namespace mformer
