#include "core/families/families.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/families/hub_fields.h"
#include "core/formats/quoted_name.h"
#include "modules_registry/error.h"
#include "modules_registry/suggest.h"

namespace mformer {

using nlohmann::json;

const std::vector<const Family*>& families() {
  static const std::vector<const Family*> all = {&moduleformer::kFamily,
                                                 &jetmoe::kFamily,
                                                 &mixtral::kFamily,
                                                 &granitemoe::kFamily,
                                                 &granitemoeshared::kFamily,
                                                 &olmoe::kFamily,
                                                 &qwen2_moe::kFamily,
                                                 &qwen3_moe::kFamily,
                                                 &llama::kFamily,
                                                 &mistral::kFamily,
                                                 &qwen2::kFamily,
                                                 &qwen3::kFamily,
                                                 &native::kFamily};
  return all;
}

namespace {

const Family* find_family(std::string_view model_type) {
  const auto found = std::find_if(families().begin(), families().end(),
                                  [&](const Family* family) { return family->model_type == model_type; });
  return found == families().end() ? nullptr : *found;
}

}  // namespace

const Family& family_of(std::string_view model_type, const std::string& source) {
  if (const Family* found = find_family(model_type)) return *found;
  std::vector<std::string> known;
  for (const Family* family : families()) known.emplace_back(family->model_type);
  throw Error(source + ": the model is of type " + quoted_name(model_type) + ", which mformer can't compute",
              suggestion_hint(std::string(model_type.substr(0, 100)), known, "types", ""));
}

const Family& family_of(const ModelConfig& config) {
  return family_of(config.family, "the model's config");
}

namespace {

/// A config.json that does not say is a ModuleFormer's.
const Family& family_in(const json& document, const std::string& source) {
  const json type = document.value("model_type", json("moduleformer"));
  if (!type.is_string()) throw Error(source + ": 'model_type' is no string", "correct the file");
  return family_of(type.get<std::string>(), source);
}

/// A field that has the name of one of mformer's own means nothing in another family's file. Kept among the rest, it
/// would be taken for ours in the config of a version, which is written under mformer's names.
void drop_own_names(json& rest) {
  static const json own = json::parse(ModelConfig{}.to_native_json());
  for (const auto& [name, value] : own.items()) rest.erase(name);
  // Those that are not always written.
  for (const char* name : {"n_att_experts_per_layer", "n_mlp_experts_per_layer", "dtype", "auto_map"}) rest.erase(name);
}

ModelConfig read_by(const Family& family, json document, const std::string& source, const ReadOptions& options) {
  for (const char* field : {"model_type", "architectures"}) document.erase(field);
  HubFields hub(std::move(document), source, options);
  if (hub.has("quantization_config")) {
    hub.fail("the weights are quantised", "take the checkpoint that is not quantised");
  }
  ModelConfig config;
  config.family = family.model_type;
  family.read(hub, config);
  config.extra.update(hub.rest());
  drop_own_names(config.extra);
  config.validate(source);
  return config;
}

}  // namespace

HubConfig read_hub_config(std::string_view text, const std::string& source, const ReadOptions& options) {
  const json document = parse_config_object(text, source);
  const Family& family = family_in(document, source);
  const bool has_own = family.read == nullptr;
  HubConfig read{has_own ? ModelConfig::from_json(text, source) : read_by(family, document, source, options), &family,
                 document.contains("eos_token_id")};
  family_of(read.config.family, source);  // mformer's own layout tells it beside its type, and may tell anything
  if (options.slices > 0 && (has_own || read.config.form.unrouted_layers.empty())) {
    throw Error(source + ": the model has no dense feed-forward layer to be cut into slices", "leave --slices out");
  }
  return read;
}

std::string hub_config_json(const ModelConfig& config) {
  const Family& family = family_of(config);
  if (family.write == nullptr) return config.to_json();
  json document = config.extra;
  family.write(config, document);
  document["model_type"] = family.model_type;
  document["architectures"] = {family.architecture};
  return document.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

std::optional<std::string> family_that_holds(const ModelConfig& config) {
  const auto holds = [&config](const Family& family) {
    if (family.write == nullptr) return false;
    ModelConfig wanted = config;
    wanted.family = family.model_type;
    try {
      ModelConfig read = read_hub_config(hub_config_json(wanted), "the config").config;
      read.extra = wanted.extra;
      return read == wanted;
    } catch (const Error&) {
      return false;
    }
  };
  if (holds(family_of(config))) return config.family;
  for (const Family* family : families()) {
    if (holds(*family)) return std::string(family->model_type);
  }
  return std::nullopt;
}

void settle_family(ModelConfig& config) {
  config.family = family_that_holds(config).value_or(config.family);
}

}  // namespace mformer
