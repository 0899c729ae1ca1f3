#include "core/families/rotary_fields.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/families/hub_fields.h"
#include "core/formats/quoted_name.h"

namespace mformer {
namespace {

using nlohmann::json;

RotaryKind kind_of(const std::string& name, const HubFields& hub) {
  if (name == "default") return RotaryKind::plain;
  if (name == "linear") return RotaryKind::linear;
  if (name == "dynamic") return RotaryKind::dynamic;
  if (name == "llama3") return RotaryKind::llama3;
  if (name == "yarn") return RotaryKind::yarn;
  hub.fail("the rotary positions are scaled by " + quoted_name(name),
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

HubFields object_of(HubFields& hub, const char* field) {
  json value = hub.take(field);
  if (value.is_null()) value = json::object();
  if (!value.is_object()) hub.fail("'" + std::string(field) + "' is no JSON object", "correct the file");
  return HubFields(std::move(value), hub.source() + ": " + field, {});
}

/// The object of the one spelling or the other; where both say something, the older one is followed, as readers do.
HubFields scaling_of(HubFields& hub) {
  HubFields older = object_of(hub, "rope_scaling"), newer = object_of(hub, "rope_parameters");
  return older.rest().empty() ? newer : older;
}

/// 0.1 · m · ln(factor) + 1
double grown(double factor, double m) {
  return factor <= 1 ? 1 : 0.1 * m * std::log(factor) + 1;
}

double attention_factor(HubFields& scaling, double factor) {
  const double asked = scaling.number("attention_factor", 0);
  const double scale = scaling.number("mscale", 0), of_all = scaling.number("mscale_all_dim", 0);
  if (asked != 0 || scale == 0 || of_all == 0) return asked;
  return grown(factor, scale) / grown(factor, of_all);
}

void read_factor(HubFields& scaling, std::int64_t context, Rotary& rotary) {
  const bool has_ratio = rotary.kind == RotaryKind::yarn && scaling.contains("factor");
  if (rotary.kind == RotaryKind::plain) {
    scaling.take("factor");
  } else if (scaling.has("factor")) {
    rotary.factor = scaling.number("factor", 1);
  } else if (has_ratio && rotary.original_context > 0) {  // null: as much as the context grew
    scaling.take("factor");
    rotary.factor = static_cast<double>(context) / static_cast<double>(rotary.original_context);
  } else {
    scaling.fail("'factor' is missing", "is it the model's own config.json?");
  }
}

/// Tokens before the stretching.
std::int64_t original_context(HubFields& hub, HubFields& scaling, RotaryKind kind, std::int64_t context) {
  constexpr const char* kField = "original_max_position_embeddings";
  const std::int64_t inner = scaling.count(kField, context);
  if (kind == RotaryKind::dynamic) return context;
  if (kind != RotaryKind::llama3 && kind != RotaryKind::yarn) return 0;
  return hub.count(kField, inner);
}

/// 0 is as if the field were not there.
double beta(HubFields& scaling, const char* field, double otherwise) {
  const double value = scaling.number(field, otherwise);
  return value == 0 ? otherwise : value;
}

}  // namespace

Rotary read_rotary(HubFields& hub, std::int64_t context, double default_theta) {
  HubFields scaling = scaling_of(hub);
  Rotary rotary;
  const double theta = hub.number("rope_theta", default_theta);
  rotary.theta = scaling.number("rope_theta", theta);
  const std::string old_name = scaling.text("type", "default");
  rotary.kind = kind_of(scaling.text("rope_type", old_name), hub);
  scaling.require("partial_rotary_factor", 1.0);
  hub.require("partial_rotary_factor", 1.0);
  rotary.original_context = original_context(hub, scaling, rotary.kind, context);
  read_factor(scaling, context, rotary);
  rotary.low_freq_factor = scaling.number("low_freq_factor", rotary.low_freq_factor);
  rotary.high_freq_factor = scaling.number("high_freq_factor", rotary.high_freq_factor);
  rotary.beta_fast = beta(scaling, "beta_fast", rotary.beta_fast);
  rotary.beta_slow = beta(scaling, "beta_slow", rotary.beta_slow);
  rotary.attention_factor = attention_factor(scaling, rotary.factor);
  rotary.truncate = scaling.truth("truncate", true);
  scaling.take("finetuned");  // says how the weights came about
  if (const json rest = scaling.rest(); !rest.empty()) {
    scaling.fail(quoted_name(rest.begin().key()) + " is unknown", "mformer would compute another model than this one");
  }
  return rotary;
}

void write_rotary(const Rotary& rotary, json& hub) {
  hub["rope_theta"] = rotary.theta;
  hub["rope_scaling"] = nullptr;
  if (rotary.kind == RotaryKind::plain) return;
  json scaling = {{"rope_type", name_of(rotary.kind)}, {"factor", rotary.factor}};
  if (rotary.original_context > 0 && rotary.kind != RotaryKind::dynamic)
    scaling["original_max_position_embeddings"] = rotary.original_context;
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
