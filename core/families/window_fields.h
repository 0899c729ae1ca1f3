#pragma once

#include <nlohmann/json_fwd.hpp>

#include "core/families/family.h"

namespace mformer {

class HubFields;

/// `sliding_window` of a family whose layers all have the window. `otherwise`: where the field is not there; null is
/// none.
void read_window(HubFields& hub, ModelConfig& config, std::int64_t otherwise);

/// `sliding_window` and `use_sliding_window` of the Qwen families. True where the model has a window.
bool read_used_window(HubFields& hub, ModelConfig& config);

/// `layer_types`, or where there is no such list `has_window(layer, max_window_layers)`, of a model that has a window.
void read_windowed_layers(HubFields& hub, ModelConfig& config,
                          bool (*has_window)(std::int64_t layer, std::int64_t max_window_layers));

void write_window(const ModelConfig& config, nlohmann::json& hub);
/// The same for the Qwen families, layer by layer where some see all.
void write_used_window(const ModelConfig& config, nlohmann::json& hub);

}  // namespace mformer
