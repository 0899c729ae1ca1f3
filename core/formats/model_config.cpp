#include "core/formats/model_config.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <type_traits>
#include <utility>

#include "core/formats/field_reader.h"
#include "core/formats/generation_config.h"
#include "core/formats/parameter_shapes.h"
#include "core/formats/quoted_name.h"
#include "modules_registry/error.h"
#include "modules_registry/printable.h"

namespace mformer {
namespace {

using nlohmann::json;

constexpr int kMaxDepth = 64;  // copying or printing deeper JSON could exhaust the stack

// The one list of fields: reading and writing both walk it.
template <class Config, class Visit>
void for_each_field(Config& config, Visit&& visit) {
  visit("vocab_size", config.vocab_size);
  visit("block_size", config.block_size);
  visit("history_length", config.history_length);
  visit("n_embd", config.n_embd);
  visit("n_layer", config.n_layer);
  visit("n_head", config.n_head);
  visit("att_hidden", config.att_hidden);
  visit("ffd_hidden", config.ffd_hidden);
  visit("n_att_experts", config.n_att_experts);
  visit("n_mlp_experts", config.n_mlp_experts);
  visit("k_att", config.k_att);
  visit("k_mlp", config.k_mlp);
  visit("sample_topk", config.sample_topk);
  visit("gating_size", config.gating_size);
  visit("gate_type", config.gate_type);
  visit("n_att_experts_per_layer", config.n_att_experts_per_layer);
  visit("n_mlp_experts_per_layer", config.n_mlp_experts_per_layer);
  visit("aux_loss_type", config.aux_loss_type);
  visit("aux_loss_weight", config.aux_loss_weight);
  visit("activation_function", config.activation_function);
  visit("resid_pdrop", config.resid_pdrop);
  visit("embd_pdrop", config.embd_pdrop);
  visit("attn_pdrop", config.attn_pdrop);
  visit("moe_pdrop", config.moe_pdrop);
  visit("layer_norm_epsilon", config.layer_norm_epsilon);
  visit("initializer_range", config.initializer_range);
  visit("use_cache", config.use_cache);
  visit("tie_word_embeddings", config.tie_word_embeddings);
  visit("bos_token_id", config.bos_token_id);
  visit("eos_token_id", config.eos_token_id);
  visit("torch_dtype", config.torch_dtype);
}

constexpr const char* kNativeType = "mformer";

/// Takes the type of the model out of the document, and what goes with it: family and form.
void take_model_type(json& document, ModelConfig& config, const std::string& source) {
  const json type = document.value("model_type", json("moduleformer"));
  document.erase("model_type");
  document.erase("architectures");
  if (type == "moduleformer") return;
  if (type != kNativeType) {
    throw Error(source + ": the model is of type " + printable(shortened(type.dump(), 80)) +
                    ", not \"moduleformer\" or \"mformer\"",
                "checkpoints of other families are read by mformer import");
  }
  const json family = document.value("family", json());
  if (!family.is_string()) throw Error(source + ": 'family' is no string", "correct the file");
  config.family = family.get<std::string>();
  config.form = ModelForm::from_json(document.value("form", json::object()), source);
  for (const char* field : {"family", "form", "auto_map"}) document.erase(field);
}

/// What the file says of each way of quantising.
const std::map<std::string, json>& quantisations() {
  const auto groups = [](const char* weights, const char* blocks) -> json {
    return {{"quant_method", "mformer_blocks"},
            {"weight_dtype", weights},
            {"embedding_dtype", "int8"},
            {"group_size", 32},
            {"blocks", blocks}};
  };
  static const std::map<std::string, json> all = {
      {"int8", {{"quant_method", "mformer_int8"}, {"weight_dtype", "int8"}, {"scale", "per output channel"}}},
      {"int8_groups", groups("int8", "Q8_0")},
      {"int4_groups", groups("int4", "Q4_1")}};
  return all;
}

/// What `quantization` is in a file; takes the field out of it.
std::string take_quantization(json& document, const std::string& source) {
  const auto found = document.find("quantization_config");
  if (found == document.end()) return "";
  const json description = *found;
  document.erase(found);
  if (description.is_null()) return "";
  for (const auto& [name, known] : quantisations()) {
    if (description == known) return name;
  }
  throw Error(
      source + ": the weights are quantised in a way that is unknown: " + printable(shortened(description.dump(), 80)),
      "only what mformer export --quantize writes can be read; take the checkpoint that is not quantised");
}

}  // namespace

json parse_config_object(std::string_view text, const std::string& source) {
  // The parser takes a byte 0 for the end, and what lies behind it would be read by others.
  if (const std::size_t zero = text.find('\0'); zero != std::string_view::npos) {
    throw Error(source + ": not valid JSON at byte " + std::to_string(zero + 1), "correct the file");
  }
  json document;
  try {
    document = json::parse(text, [&source](int depth, json::parse_event_t, const json&) {
      if (depth > kMaxDepth) throw Error(source + ": nested too deeply for a config", "correct the file");
      return true;
    });
  } catch (const json::parse_error& error) {
    throw Error(source + ": not valid JSON at byte " + std::to_string(error.byte), "correct the file");
  } catch (const json::exception&) {
    throw Error(source + ": not valid JSON (a number beyond any range)", "correct the file");
  }
  if (!document.is_object())
    throw Error(source + ": not a JSON object", "a config.json looks like {\"n_embd\": 192, …}");
  return document;
}

ModelConfig ModelConfig::from_json(std::string_view text, const std::string& source) {
  json document = parse_config_object(text, source);
  ModelConfig config;
  take_model_type(document, config, source);
  // Newer versions of the transformers package shorten the name.
  if (document.contains("dtype") && !document.contains("torch_dtype")) {
    document["torch_dtype"] = document["dtype"];
    document.erase("dtype");
  }
  config.quantization = take_quantization(document, source);
  const auto ends = document.find("eos_token_id");
  if (ends != document.end() && ends->is_array()) {
    config.set_end_tokens(read_end_tokens(*ends, source));
    document.erase(ends);
  }
  for_each_field(config, FieldReader(document, source));
  config.extra = std::move(document);
  config.validate(source);
  return config;
}

namespace {

json fields_of(const ModelConfig& config) {
  json document = config.extra;
  for_each_field(config, [&document](const char* field, const auto& value) {
    using Value = std::decay_t<decltype(value)>;
    if constexpr (std::is_same_v<Value, std::vector<std::int64_t>>) {
      if (value.empty()) return;  // the reference knows no such field
    }
    if constexpr (std::is_enum_v<Value>) {
      document[field] = to_string(value);
    } else {
      document[field] = value;
    }
    if constexpr (std::is_same_v<Value, std::int64_t>) {
      if (is_token_id(field) && value < 0) document[field] = nullptr;
    }
  });
  if (!config.more_eos_token_ids.empty()) document["eos_token_id"] = config.end_tokens();
  if (config.is_quantized()) document["quantization_config"] = quantisations().at(config.quantization);
  return document;
}

std::string text_of(const json& document) {
  return document.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace

std::string ModelConfig::to_json() const {
  if (family != "moduleformer") return to_native_json();
  json document = fields_of(*this);
  document["model_type"] = "moduleformer";
  document["architectures"] = {"ModuleFormerForCausalLM"};
  return text_of(document);
}

std::string ModelConfig::to_native_json() const {
  json document = fields_of(*this);
  document["model_type"] = kNativeType;
  document["architectures"] = {"MformerForCausalLM"};
  document["family"] = family;
  document["form"] = form.to_json();
  return text_of(document);
}

std::int64_t ModelConfig::n_att(std::int64_t layer) const {
  return n_att_experts_per_layer.empty() ? n_att_experts : n_att_experts_per_layer[static_cast<std::size_t>(layer)];
}

std::int64_t ModelConfig::n_mlp(std::int64_t layer) const {
  return n_mlp_experts_per_layer.empty() ? n_mlp_experts : n_mlp_experts_per_layer[static_cast<std::size_t>(layer)];
}

double ModelConfig::score_scale() const {
  return form.attention_scale > 0 ? form.attention_scale : 1 / std::sqrt(static_cast<double>(head_size()));
}

std::vector<std::int64_t> ModelConfig::end_tokens() const {
  std::vector<std::int64_t> ids;
  if (eos_token_id >= 0) ids.push_back(eos_token_id);
  ids.insert(ids.end(), more_eos_token_ids.begin(), more_eos_token_ids.end());
  return ids;
}

void ModelConfig::set_end_tokens(const std::vector<std::int64_t>& ids) {
  eos_token_id = ids.empty() ? -1 : ids.front();
  more_eos_token_ids.clear();
  std::set<std::int64_t> known = {eos_token_id};
  for (const std::int64_t id : ids) {
    if (known.insert(id).second) more_eos_token_ids.push_back(id);
  }
}

void ModelConfig::set_expert_counts(std::vector<std::int64_t> att, std::vector<std::int64_t> mlp) {
  const auto set = [](std::vector<std::int64_t> counts, std::int64_t& scalar, std::vector<std::int64_t>& per_layer) {
    const auto [least, most] = std::minmax_element(counts.begin(), counts.end());
    if (least == counts.end()) throw Error("a model has at least one layer");
    const bool equal = *least == *most;
    scalar = *most;
    per_layer = equal ? std::vector<std::int64_t>{} : std::move(counts);
  };
  set(std::move(att), n_att_experts, n_att_experts_per_layer);
  set(std::move(mlp), n_mlp_experts, n_mlp_experts_per_layer);
}

std::int64_t ModelConfig::parameter_count() const {
  std::int64_t total = 0;
  for (const ParameterShape& parameter : parameter_shapes(*this)) {
    if (parameter.role != ParameterRole::scale) total += parameter.count();
  }
  return total;
}

std::int64_t ModelConfig::active_parameter_count() const {
  std::int64_t idle = (vocab_size - 1) * n_embd;
  if (tie_word_embeddings) idle = 0;  // the head uses all of it
  for (std::int64_t layer = 0; layer < n_layer; ++layer) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      const std::int64_t module = n_embd * (in_width(kind, layer) + hidden(kind, layer));
      idle += (modules(kind, layer) - chosen(kind, layer)) * module;
    }
  }
  return parameter_count() - idle;
}

}  // namespace mformer
