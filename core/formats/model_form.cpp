#include "core/formats/model_form.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "core/formats/quoted_name.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

using nlohmann::json;

constexpr std::pair<NormKind, const char*> kNorms[] = {{NormKind::layer, "layer"}, {NormKind::rms, "rms"}};
constexpr std::pair<AttentionKind, const char*> kAttentions[] = {{AttentionKind::stick_breaking, "stick_breaking"},
                                                                 {AttentionKind::softmax, "softmax"}};
constexpr std::pair<QkNorm, const char*> kQkNorms[] = {
    {QkNorm::none, "none"}, {QkNorm::whole, "whole"}, {QkNorm::head, "head"}};
constexpr std::pair<RotaryKind, const char*> kRotaries[] = {
    {RotaryKind::none, "none"},       {RotaryKind::plain, "default"}, {RotaryKind::linear, "linear"},
    {RotaryKind::dynamic, "dynamic"}, {RotaryKind::llama3, "llama3"}, {RotaryKind::yarn, "yarn"}};

constexpr std::pair<bool, const char*> kChoices[] = {{false, "softmax_first"}, {true, "top_k_first"}};

/// The one list of fields: writing and reading both walk it.
template <class Form, class Visit>
void for_each_form_field(Form& form, Visit&& visit) {
  visit("norm", form.norm, kNorms);
  visit("block_eps", form.block_eps);
  visit("final_eps", form.final_eps);
  visit("attention", form.attention, kAttentions);
  visit("att_routed", form.att_routed);
  visit("kv_bias", form.kv_bias);
  visit("qk_norm", form.qk_norm, kQkNorms);
  visit("clip_qkv", form.clip_qkv);
  visit("window", form.window);
  visit("unwindowed_layers", form.unwindowed_layers);
  visit("attention_scale", form.attention_scale);
  visit("gated", form.gated);
  visit("unrouted_layers", form.unrouted_layers);
  visit("slice_hidden", form.slice_hidden);
  visit("choice", form.top_k_first, kChoices);
  visit("renormalise", form.renormalise);
  visit("shared_hidden", form.shared_hidden);
  visit("shared_gate", form.shared_gate);
  visit("in_bias_att", form.in_bias_att);
  visit("in_bias_mlp", form.in_bias_mlp);
  visit("out_bias_att", form.out_bias_att);
  visit("out_bias_mlp", form.out_bias_mlp);
  visit("embedding_scale", form.embedding_scale);
  visit("residual_scale", form.residual_scale);
  visit("logit_divisor", form.logit_divisor);
}

template <class Rope, class Visit>
void for_each_rotary_field(Rope& rotary, Visit&& visit) {
  visit("kind", rotary.kind, kRotaries);
  visit("theta", rotary.theta);
  visit("factor", rotary.factor);
  visit("low_freq_factor", rotary.low_freq_factor);
  visit("high_freq_factor", rotary.high_freq_factor);
  visit("beta_fast", rotary.beta_fast);
  visit("beta_slow", rotary.beta_slow);
  visit("attention_factor", rotary.attention_factor);
  visit("truncate", rotary.truncate);
  visit("original_context", rotary.original_context);
}

/// Adds the fields that differ from `defaults`.
class FormWriter {
 public:
  FormWriter(json& document, const json& defaults) : document_(document), defaults_(defaults) {}

  template <class Value>
  void operator()(const char* field, const Value& value) {
    put(field, value);
  }

  template <class Value, std::size_t N>
  void operator()(const char* field, const Value& value, const std::pair<Value, const char*> (&spellings)[N]) {
    for (const auto& [known, text] : spellings) {
      if (known == value) put(field, text);
    }
  }

 private:
  void put(const char* field, json value) {
    if (!defaults_.contains(field) || defaults_.at(field) != value) document_[field] = std::move(value);
  }

  json& document_;
  const json& defaults_;
};

/// Takes the fields out of an object; what remains is unknown.
class FormReader {
 public:
  FormReader(json& document, const std::string& source) : document_(document), source_(source) {}

  void operator()(const char* field, double& value) const {
    read(field, [&](const json& found) {
      if (!found.is_number() || !std::isfinite(found.get<double>())) return false;
      value = found.get<double>();
      return true;
    });
  }

  void operator()(const char* field, std::int64_t& value) const {
    read(field, [&](const json& found) { return take_count(found, value); });
  }

  void operator()(const char* field, bool& value) const {
    read(field, [&](const json& found) {
      if (!found.is_boolean()) return false;
      value = found.get<bool>();
      return true;
    });
  }

  void operator()(const char* field, std::vector<std::int64_t>& value) const {
    read(field, [&](const json& found) {
      value.clear();
      return found.is_array() && std::all_of(found.begin(), found.end(), [&](const json& entry) {
               return take_count(entry, value.emplace_back());
             });
    });
  }

  template <class Value, std::size_t N>
  void operator()(const char* field, Value& value, const std::pair<Value, const char*> (&spellings)[N]) const {
    read(field, [&](const json& found) {
      for (const auto& [known, text] : spellings) {
        if (found == text) return value = known, true;
      }
      return false;
    });
  }

 private:
  static bool take_count(const json& found, std::int64_t& value) {
    if (!found.is_number_unsigned() || found.get<std::uint64_t>() > (std::uint64_t{1} << 31U)) return false;
    value = found.get<std::int64_t>();
    return true;
  }

  template <class Take>
  void read(const char* field, const Take& take) const {
    const auto found = document_.find(field);
    if (found == document_.end()) return;
    if (!take(*found)) {
      throw Error(source_ + ": '" + field + "' can't be " + shortened(found->dump(), 40), "correct the file");
    }
    document_.erase(found);
  }

  json& document_;
  const std::string& source_;
};

json all_fields(const Rotary& rotary, const json& defaults) {
  json document = json::object();
  for_each_rotary_field(rotary, FormWriter(document, defaults));
  return document;
}

json all_fields(const ModelForm& form, const json& defaults) {
  json document = json::object();
  for_each_form_field(form, FormWriter(document, defaults));
  return document;
}

void refuse_unknown(const json& rest, const std::string& source) {
  if (rest.empty()) return;
  throw Error(source + ": 'form' has the field " + quoted_name(rest.begin().key()) + ", which is unknown",
              "was the file written by a later version of mformer?");
}

}  // namespace

std::int64_t ModelForm::window_of(std::int64_t layer) const {
  return std::binary_search(unwindowed_layers.begin(), unwindowed_layers.end(), layer) ? 0 : window;
}

bool ModelForm::mlp_routed(std::int64_t layer) const {
  return !std::binary_search(unrouted_layers.begin(), unrouted_layers.end(), layer);
}

json ModelForm::to_json() const {
  json document = all_fields(*this, all_fields(ModelForm(), json::object()));
  if (rotary.kind != RotaryKind::none) document["rotary"] = all_fields(rotary, all_fields(Rotary(), json::object()));
  return document;
}

ModelForm ModelForm::from_json(const json& document, const std::string& source) {
  if (!document.is_object()) throw Error(source + ": 'form' is no JSON object", "correct the file");
  json rest = document;
  ModelForm form;
  for_each_form_field(form, FormReader(rest, source));
  if (const auto rotary = rest.find("rotary"); rotary != rest.end()) {
    if (!rotary->is_object()) throw Error(source + ": 'rotary' is no JSON object", "correct the file");
    json fields = *rotary;
    for_each_rotary_field(form.rotary, FormReader(fields, source));
    refuse_unknown(fields, source);
    rest.erase("rotary");
  }
  refuse_unknown(rest, source);
  return form;
}

}  // namespace mformer
