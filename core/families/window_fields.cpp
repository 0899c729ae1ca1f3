#include "core/families/window_fields.h"

#include <nlohmann/json.hpp>

#include "core/families/hub_fields.h"
#include "core/formats/quoted_name.h"
#include "modules_registry/printable.h"

namespace mformer {
namespace {

using nlohmann::json;

constexpr const char* kFull = "full_attention";
constexpr const char* kSliding = "sliding_attention";

bool slides(const json& type, const HubFields& hub) {
  const std::string name = type.is_string() ? type.get<std::string>() : "";
  if (name == kSliding) return true;
  if (name == kFull) return false;
  hub.fail("'layer_types' has the entry " + printable(shortened(type.dump(), 40)),
           std::string("mformer computes ") + kFull + " and " + kSliding);
}

std::vector<std::int64_t> full_layers(const json& types, const ModelConfig& config, const HubFields& hub) {
  if (!types.is_array() || types.size() != static_cast<std::size_t>(config.n_layer)) {
    hub.fail("'layer_types' must be a list of one entry for each of " + std::to_string(config.n_layer) + " layers",
             "correct the file");
  }
  std::vector<std::int64_t> layers;
  for (std::int64_t layer = 0; layer < config.n_layer; ++layer) {
    if (!slides(types[static_cast<std::size_t>(layer)], hub)) layers.push_back(layer);
  }
  return layers;
}

}  // namespace

void read_window(HubFields& hub, ModelConfig& config, std::int64_t otherwise) {
  config.form.window = hub.contains("sliding_window") ? hub.count("sliding_window", 0) : otherwise;
}

bool read_used_window(HubFields& hub, ModelConfig& config) {
  constexpr std::int64_t kDefault = 4096;
  const bool used = hub.truth("use_sliding_window", false);
  read_window(hub, config, kDefault);
  if (!used) config.form.window = 0;
  return config.form.window > 0;
}

void read_windowed_layers(HubFields& hub, ModelConfig& config,
                          bool (*has_window)(std::int64_t layer, std::int64_t max_window_layers)) {
  const json types = hub.take("layer_types");
  const std::int64_t most = hub.count("max_window_layers", 28);
  config.extra["max_window_layers"] = most;
  if (!read_used_window(hub, config)) return;
  if (!types.is_null()) {
    config.form.unwindowed_layers = full_layers(types, config, hub);
  } else {
    for (std::int64_t layer = 0; layer < config.n_layer; ++layer) {
      if (!has_window(layer, most)) config.form.unwindowed_layers.push_back(layer);
    }
  }
  // A window that no layer has is none.
  if (static_cast<std::int64_t>(config.form.unwindowed_layers.size()) < config.n_layer) return;
  config.form.window = 0;
  config.form.unwindowed_layers.clear();
}

void write_window(const ModelConfig& config, json& hub) {
  hub["sliding_window"] = config.form.window > 0 ? json(config.form.window) : json();
}

void write_used_window(const ModelConfig& config, json& hub) {
  write_window(config, hub);
  hub["use_sliding_window"] = config.form.window > 0;
  if (config.form.window == 0) return;
  json types = json::array();
  for (std::int64_t layer = 0; layer < config.n_layer; ++layer) {
    types.push_back(config.form.window_of(layer) > 0 ? kSliding : kFull);
  }
  hub["layer_types"] = std::move(types);
}

}  // namespace mformer
