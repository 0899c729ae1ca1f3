#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/formats/hub_folder.h"
#include "core/formats/model_config.h"

namespace mformer {

/// One parameter of a checkpoint.
struct ParameterSpec {
  std::string name;                 ///< The reference's name, e.g. "transformer.h.0.mlpf.experts.weight".
  std::vector<std::int64_t> shape;  ///< As stored; docs/checkpoints.md names the dimensions.
};

/// Every parameter that a model of this (validated) config has, in model order: embedding, blocks, last norm, head.
/// A tied head is not listed.
std::vector<ParameterSpec> parameter_layout(const ModelConfig& config);

/// True for the buffers that the reference stores beside its parameters and that carry no information
/// (`….attn.mask`, `….attn.cum_weight`), and for `lm_head.weight` where the head is tied.
bool is_ignored_tensor(std::string_view name, const ModelConfig& config);

/// Throws Error unless the folder's safetensors hold exactly the parameters of its config (ignored ones aside): the
/// first missing, unknown or misshapen one is named, and dtypes other than F32, BF16 and F16 are refused.
void check_parameters(const HubFolder& folder);

}  // namespace mformer
