#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/families/hub_fields.h"
#include "core/families/llama_blocks.h"
#include "core/families/rotary_fields.h"
#include "core/formats/generation_config.h"
#include "core/formats/quoted_name.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

using nlohmann::json;

/// transformers' names of activations that have another name here.
constexpr std::pair<const char*, const char*> kActivations[] = {{"swish", "silu"},
                                                                {"gelu_pytorch_tanh", "gelu_new"},
                                                                {"gelu_fast", "gelu_new"},
                                                                {"gelu_accurate", "gelu_new"},
                                                                {"gelu_python_tanh", "gelu_new"},
                                                                {"gelu_python", "gelu"}};

std::int64_t token_or_none(const json& value, const HubFields& hub) {
  if (value.is_null()) return -1;
  if (!value.is_number_integer()) hub.fail("'bos_token_id' is no whole number", "correct the file");
  return value.get<std::int64_t>();
}

void read_tokens(HubFields& hub, ModelConfig& config) {
  config.bos_token_id = token_or_none(hub.take("bos_token_id"), hub);
  config.set_end_tokens(read_end_tokens(hub.take("eos_token_id"), hub.source()));
}

/// The greatest number up to the one wanted that divides `width`.
std::int64_t slices_of(std::int64_t width, std::int64_t wanted) {
  constexpr std::int64_t kMost = 1'000'000;
  for (std::int64_t slices = std::min({width, wanted, kMost}); slices > 1; --slices) {
    if (width % slices == 0) return slices;
  }
  return 1;
}

std::string list_of(const std::vector<std::int64_t>& layers) {
  std::string text;
  for (std::size_t i = 0; i < layers.size() && i < 8; ++i) text += (i == 0 ? "" : ", ") + std::to_string(layers[i]);
  return layers.size() > 8 ? text + ", …" : text;
}

}  // namespace

ActivationFunction read_activation(HubFields& hub, const char* field) {
  std::string name = hub.text(field, "silu");
  for (const auto& [theirs, ours] : kActivations) {
    if (name == theirs) name = ours;
  }
  const auto found = choice_from<ActivationFunction>(name);
  if (found.has_value()) return *found;
  hub.fail("'" + std::string(field) + "' is " + quoted_name(name) + ", which is unknown",
           "it can be one of: " + names_of<ActivationFunction>());
}

void read_trunk(HubFields& hub, ModelConfig& config, double default_eps, double default_theta) {
  config.vocab_size = hub.count("vocab_size");
  config.n_embd = hub.count("hidden_size");
  config.n_layer = hub.count("num_hidden_layers");
  constexpr std::int64_t kMostLayers = 10'000;
  if (config.n_layer < 1 || config.n_layer > kMostLayers) {
    hub.fail("'num_hidden_layers' is " + std::to_string(config.n_layer),
             "it must lie between 1 and " + std::to_string(kMostLayers));
  }
  config.block_size = config.history_length = hub.count("max_position_embeddings", 2048);
  config.activation_function = read_activation(hub, "hidden_act");
  config.initializer_range = hub.number("initializer_range", 0.02);
  config.use_cache = hub.truth("use_cache", true);
  config.tie_word_embeddings = hub.truth("tie_word_embeddings", config.tie_word_embeddings);
  const std::string dtype = hub.text("dtype", "");
  config.torch_dtype = hub.text("torch_dtype", dtype.empty() ? "float32" : dtype);
  read_tokens(hub, config);
  config.gate_type = GateType::linear;
  config.aux_loss_type = BalanceLoss::joint;
  config.form.norm = NormKind::rms;
  config.form.block_eps = config.form.final_eps = hub.number("rms_norm_eps", default_eps);
  config.form.attention = AttentionKind::softmax;
  config.form.gated = true;
  config.form.rotary = read_rotary(hub, config.block_size, default_theta);
}

void read_dense_attention(HubFields& hub, ModelConfig& config, std::int64_t default_size) {
  const std::int64_t heads = hub.count("num_attention_heads");
  const std::int64_t key_heads = hub.count("num_key_value_heads", heads);
  if (heads < 1 || key_heads < 1 || heads % key_heads != 0) {
    hub.fail("'num_attention_heads' is " + std::to_string(heads) + ", which 'num_key_value_heads' (" +
                 std::to_string(key_heads) + ") does not divide",
             "every key and value head serves as many query heads");
  }
  const std::int64_t size = hub.count("head_dim", default_size > 0 ? default_size : config.n_embd / heads);
  config.form.att_routed = false;
  config.k_att = 0;
  config.n_att_experts = key_heads;
  config.n_head = heads / key_heads;
  config.att_hidden = config.n_head * size;
}

void read_dense_feed_forward(const HubFields& hub, ModelConfig& config, std::int64_t width,
                             std::vector<std::int64_t> layers) {
  if (layers.empty()) return;
  const std::int64_t asked = hub.options().slices;
  const std::int64_t slices = slices_of(width, asked > 0 ? asked : kDefaultSlices);
  if (asked > 0 && slices != asked) {
    hub.fail("a feed-forward layer of width " + std::to_string(width) + " can't be cut into " + std::to_string(asked) +
                 " equal slices",
             "a number that divides the width, for example --slices " + std::to_string(slices));
  }
  config.form.unrouted_layers = std::move(layers);
  config.form.slice_hidden = width / slices;
  std::vector<std::int64_t> counts;
  for (std::int64_t layer = 0; layer < config.n_layer; ++layer) {
    counts.push_back(config.form.mlp_routed(layer) ? config.n_mlp_experts : slices);
  }
  config.set_expert_counts(std::vector<std::int64_t>(counts.size(), config.n_att_experts), counts);
}

void read_experts(HubFields& hub, ModelConfig& config, const std::vector<const char*>& count, std::int64_t width,
                  double default_aux) {
  std::int64_t experts = 0;
  for (const char* field : count) experts = experts > 0 ? experts : hub.count(field, 0);
  if (experts == 0) hub.count(count.front());  // says that it is missing
  for (const char* field : count) hub.take(field);
  config.n_mlp_experts = experts;
  config.k_mlp = hub.count("num_experts_per_tok");
  config.ffd_hidden = width;
  config.aux_loss_weight = hub.number("router_aux_loss_coef", default_aux);
}

void write_trunk(const ModelConfig& config, json& hub) {
  if (config.is_quantized()) refuse_export(config, "its weights are quantised");
  hub["vocab_size"] = config.vocab_size;
  hub["hidden_size"] = config.n_embd;
  hub["num_hidden_layers"] = config.n_layer;
  hub["max_position_embeddings"] = config.block_size;
  hub["hidden_act"] = to_string(config.activation_function);
  hub["initializer_range"] = config.initializer_range;
  hub["use_cache"] = config.use_cache;
  hub["tie_word_embeddings"] = config.tie_word_embeddings;
  hub["torch_dtype"] = config.torch_dtype;
  hub["rms_norm_eps"] = config.form.final_eps;
  hub["bos_token_id"] = config.bos_token_id < 0 ? json() : json(config.bos_token_id);
  const std::vector<std::int64_t> ends = config.end_tokens();
  hub["eos_token_id"] = ends.empty() ? json() : ends.size() == 1 ? json(ends.front()) : json(ends);
  write_rotary(config.form.rotary, hub);
}

void write_dense_attention(const ModelConfig& config, json& hub) {
  const std::int64_t modules = equal_count(config, Kind::att, false);
  hub["num_attention_heads"] = modules * config.n_head;
  hub["num_key_value_heads"] = modules;
  hub["head_dim"] = config.head_size();
}

std::int64_t dense_width(const ModelConfig& config) {
  return equal_count(config, Kind::mlp, false) * config.form.slice_hidden;
}

void write_experts(const ModelConfig& config, json& hub, const char* count) {
  hub[count] = equal_count(config, Kind::mlp, true);
  hub["num_experts_per_tok"] = config.k_mlp;
  hub["router_aux_loss_coef"] = config.aux_loss_weight;
}

std::int64_t equal_count(const ModelConfig& config, Kind kind, bool routed) {
  std::int64_t count = -1;
  std::vector<std::int64_t> others;
  for (std::int64_t layer = 0; layer < config.n_layer; ++layer) {
    if (config.routed(kind, layer) != routed) continue;
    if (count < 0) count = config.modules(kind, layer);
    if (config.modules(kind, layer) != count) others.push_back(layer);
  }
  if (!others.empty()) {
    refuse_export(config, "the layers " + list_of(others) + " have another number of " + std::string(to_string(kind)) +
                              " modules than the first, " + std::to_string(count));
  }
  if (count == 0) refuse_export(config, "no " + std::string(to_string(kind)) + " module is left");
  return std::max<std::int64_t>(count, 0);
}

void refuse_export(const ModelConfig& config, const std::string& why, const std::string& hint) {
  throw Error("this model is no " + config.family + " checkpoint any more: " + why,
              hint.empty() ? "--for transformers writes it in mformer's own layout with the Python "
                             "file that runs it; prune and extend take --equal, for equal numbers in all layers"
                           : hint);
}

}  // namespace mformer
