#include "core/families/rotary_fields.h"

#include <nlohmann/json.hpp>

#include "core/families/hub_fields.h"

namespace mformer {
namespace {

using nlohmann::json;

RotaryKind kind_of(const std::string& name, const HubFields& hub) {
  if (name == "default") return RotaryKind::plain;
  if (name == "linear") return RotaryKind::linear;
  if (name == "dynamic") return RotaryKind::dynamic;
  if (name == "llama3") return RotaryKind::llama3;
  if (name == "yarn") return RotaryKind::yarn;
  hub.fail("the rotary positions are scaled by '" + name + "'",
           "mformer computes default, linear, dynamic, llama3 and yarn");
}

const char* name_of(RotaryKind kind) {
  switch (kind) {
    case RotaryKind::linear:
      return "linear";
    case RotaryKind::dynamic:
      return "dynamic";
    case RotaryKind::llama3:
      return "llama3";
    case RotaryKind::yarn:
      return "yarn";
    default:
      return "default";
  }
}

/// The object of either spelling, or an empty one.
HubFields scaling_of(HubFields& hub, const char* field) {
  json value = hub.take(field);
  if (value.is_null()) value = json::object();
  if (!value.is_object()) hub.fail("'" + std::string(field) + "' is no JSON object", "correct the file");
  return HubFields(std::move(value), hub.source() + ": " + field, {});
}

}  // namespace

Rotary read_rotary(HubFields& hub, std::int64_t context) {
  const bool new_spelling = hub.has("rope_parameters");
  HubFields scaling = scaling_of(hub, new_spelling ? "rope_parameters" : "rope_scaling");
  hub.take(new_spelling ? "rope_scaling" : "rope_parameters");
  Rotary rotary;
  const double theta = hub.number("rope_theta", 10'000);
  rotary.theta = scaling.number("rope_theta", theta);
  const std::string old_name = scaling.text("type", "default");
  rotary.kind = kind_of(scaling.text("rope_type", old_name), hub);
  scaling.require("partial_rotary_factor", 1.0);
  hub.require("partial_rotary_factor", 1.0);
  rotary.factor = scaling.number("factor", 1);
  rotary.low_freq_factor = scaling.number("low_freq_factor", rotary.low_freq_factor);
  rotary.high_freq_factor = scaling.number("high_freq_factor", rotary.high_freq_factor);
  rotary.beta_fast = scaling.number("beta_fast", rotary.beta_fast);
  rotary.beta_slow = scaling.number("beta_slow", rotary.beta_slow);
  rotary.attention_factor = scaling.number("attention_factor", 0);
  rotary.truncate = scaling.truth("truncate", true);
  const bool stretched =
      rotary.kind == RotaryKind::dynamic || rotary.kind == RotaryKind::llama3 || rotary.kind == RotaryKind::yarn;
  const std::int64_t original = scaling.count("original_max_position_embeddings", context);
  if (stretched) rotary.original_context = original;
  if (const json rest = scaling.rest(); !rest.empty()) {
    scaling.fail("'" + rest.begin().key() + "' is unknown", "mformer would compute another model than this one");
  }
  return rotary;
}

void write_rotary(const Rotary& rotary, json& hub) {
  hub["rope_theta"] = rotary.theta;
  hub["rope_scaling"] = nullptr;
  if (rotary.kind == RotaryKind::plain) return;
  json scaling = {{"rope_type", name_of(rotary.kind)}, {"factor", rotary.factor}};
  if (rotary.original_context > 0) scaling["original_max_position_embeddings"] = rotary.original_context;
  if (rotary.kind == RotaryKind::llama3) {
    scaling["low_freq_factor"] = rotary.low_freq_factor;
    scaling["high_freq_factor"] = rotary.high_freq_factor;
  }
  if (rotary.kind == RotaryKind::yarn) {
    scaling["beta_fast"] = rotary.beta_fast;
    scaling["beta_slow"] = rotary.beta_slow;
    if (rotary.attention_factor > 0) scaling["attention_factor"] = rotary.attention_factor;
    if (!rotary.truncate) scaling["truncate"] = false;
  }
  hub["rope_scaling"] = std::move(scaling);
}

}  // namespace mformer
