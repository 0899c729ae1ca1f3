#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>

#include "core/families/gguf_model.h"
#include "core/families/gguf_rotary.h"
#include "core/formats/chat_format.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

using nlohmann::json;

/// What llama.cpp asks of a model of an architecture, beyond what the family's own checkpoints hold.
struct GgufArchitecture {
  const char* family;
  const char* name;
  bool square_queries;       ///< Heads times their size must be the width.
  bool own_head;             ///< The head is a tensor of its own.
  bool stretched_by_tensor;  ///< It reads rope_freqs.weight.
  bool query_biases;         ///< Queries, keys and values may have biases.
  bool renormalises;         ///< The gates of the chosen experts are divided by their sum.
};

constexpr GgufArchitecture kGgufArchitectures[] = {{"llama", "llama", false, false, true, true, false},
                                                   {"mistral", "llama", false, false, true, false, false},
                                                   {"mixtral", "llama", false, false, true, false, true},
                                                   {"qwen2", "qwen2", true, false, false, true, false},
                                                   {"qwen3", "qwen3", false, false, false, false, false},
                                                   {"qwen2_moe", "qwen2moe", true, true, false, true, false},
                                                   {"qwen3_moe", "qwen3moe", false, false, false, false, true},
                                                   {"olmoe", "olmoe", true, true, false, false, false},
                                                   {"granitemoe", "granitemoe", false, false, true, true, true},
                                                   {"granitemoeshared", "granitemoe", false, false, true, true, true}};

const char* const kOtherFormat = "without --format gguf it is written as a folder, which transformers reads";

[[noreturn]] void refuse_gguf(const std::string& why, const std::string& hint = kOtherFormat) {
  throw Error("llama.cpp can't run this model: " + why, hint);
}

const GgufArchitecture& architecture_of(const ModelConfig& config) {
  for (const GgufArchitecture& one : kGgufArchitectures) {
    if (config.family == one.family) return one;
  }
  refuse_gguf("it has no models of the family " + config.family);
}

json hub_config_of(const ModelConfig& config) {
  try {
    return json::parse(hub_config_json(config));
  } catch (const Error& error) {  // counts that differ between layers
    refuse_gguf(error.what(), "prune and extend take --equal, for equal numbers in all layers");
  }
}

void require_positions(const ModelConfig& config, const GgufArchitecture& architecture) {
  const Rotary& rotary = config.form.rotary;
  const Rotary plain;
  if (rotary.kind == RotaryKind::dynamic || rotary.kind == RotaryKind::none) {
    refuse_gguf("its rotary positions are stretched by the length of a text (dynamic), or it has none");
  }
  if (rotary.kind == RotaryKind::llama3 && !architecture.stretched_by_tensor) {
    refuse_gguf(std::string("the architecture ") + architecture.name + " has no positions as in Llama 3.1 there");
  }
  const bool usual = rotary.beta_fast == plain.beta_fast && rotary.beta_slow == plain.beta_slow &&
                     rotary.attention_factor == 0 && rotary.truncate;
  if (rotary.kind == RotaryKind::yarn && !usual) refuse_gguf("its yarn has other settings than the usual ones");
}

void require_computed(const ModelConfig& config, const GgufArchitecture& architecture) {
  const ModelForm& form = config.form;
  if (form.window > 0) refuse_gguf("its attention has a sliding window");
  if (form.clip_qkv > 0) refuse_gguf("its queries, keys and values are clipped");
  if (form.block_eps != form.final_eps) refuse_gguf("the norms of its blocks and the last one have different eps");
  if (config.activation_function != ActivationFunction::silu) {
    refuse_gguf("its activation is " + std::string(to_string(config.activation_function)));
  }
  const bool routed = config.k_mlp > 0;
  if (routed && !form.unrouted_layers.empty()) refuse_gguf("some of its layers are dense, others have experts");
  if (routed && !form.top_k_first && form.renormalise != architecture.renormalises) {
    refuse_gguf(std::string("the gates of its experts are ") + (form.renormalise ? "" : "not ") +
                "divided by their sum, other than in " + architecture.name);
  }
  if (form.in_bias_att && !architecture.query_biases) refuse_gguf("its attention has biases");
  if (form.shared_hidden == 0 && config.family == "qwen2_moe") refuse_gguf("it has no shared expert");
  if (config.tie_word_embeddings && architecture.own_head) {
    refuse_gguf(std::string("the head is the embedding, which ") + architecture.name + " does not have there");
  }
  const bool square = config.n_att(0) * config.att_hidden == config.n_embd;
  if ((architecture.square_queries || form.in_bias_att) && !square) {
    refuse_gguf("it must have as many heads as fill its width, and heads were removed or added");
  }
  require_positions(config, architecture);
}

/// Metadata below the architecture's name.
class ArchitectureKeys {
 public:
  ArchitectureKeys(GgufMetadata& metadata, const char* architecture)
      : metadata_(metadata), prefix_(std::string(architecture) + ".") {}

  template <class Value>
  void put(const char* key, Value value) {
    metadata_[prefix_ + key] = value;
  }

 private:
  GgufMetadata& metadata_;
  std::string prefix_;
};

void put_rotary(const Rotary& rotary, ArchitectureKeys& keys) {
  keys.put("rope.freq_base", rotary.theta);
  if (rotary.kind == RotaryKind::linear || rotary.kind == RotaryKind::yarn) {
    keys.put("rope.scaling.type", std::string(rotary.kind == RotaryKind::linear ? "linear" : "yarn"));
    keys.put("rope.scaling.factor", rotary.factor);
  }
  if (rotary.kind == RotaryKind::yarn || rotary.kind == RotaryKind::llama3) {
    keys.put("rope.scaling.original_context_length", rotary.original_context);
  }
}

void put_experts(const ModelConfig& config, const json& hub, ArchitectureKeys& keys) {
  if (config.k_mlp == 0) return;
  keys.put("expert_count", config.n_mlp_experts);
  keys.put("expert_used_count", config.k_mlp);
  if (hub.contains("moe_intermediate_size")) keys.put("expert_feed_forward_length", config.ffd_hidden);
  if (config.form.shared_hidden > 0) keys.put("expert_shared_feed_forward_length", config.form.shared_hidden);
}

/// The width of dense layers or, where all layers have experts, of those; the Qwens have a key of its own for that.
std::int64_t feed_forward_length(const ModelConfig& config, const json& hub) {
  const std::int64_t width = hub.value("intermediate_size", std::int64_t{0});
  return width > 0 ? width : config.ffd_hidden * std::max<std::int64_t>(config.k_mlp, 1);
}

}  // namespace

GgufMetadata gguf_metadata(const ModelConfig& config) {
  const GgufArchitecture& architecture = architecture_of(config);
  require_computed(config, architecture);
  const json hub = hub_config_of(config);
  GgufMetadata metadata;
  metadata["general.architecture"] = std::string(architecture.name);
  metadata["general.type"] = std::string("model");
  ArchitectureKeys keys(metadata, architecture.name);
  keys.put("block_count", config.n_layer);
  keys.put("context_length", config.block_size);
  keys.put("embedding_length", config.n_embd);
  keys.put("vocab_size", config.vocab_size);
  keys.put("feed_forward_length", feed_forward_length(config, hub));
  keys.put("attention.head_count", config.n_att(0) * config.n_head);
  keys.put("attention.head_count_kv", config.n_att(0));
  keys.put("attention.key_length", config.head_size());
  keys.put("attention.value_length", config.head_size());
  keys.put("attention.layer_norm_rms_epsilon", config.form.final_eps);
  keys.put("rope.dimension_count", config.head_size());
  put_rotary(config.form.rotary, keys);
  put_experts(config, hub, keys);
  if (std::string_view(architecture.name) == "granitemoe") {
    keys.put("embedding_scale", config.form.embedding_scale);
    keys.put("residual_scale", config.form.residual_scale);
    keys.put("attention.scale", config.form.attention_scale);
    keys.put("logit_scale", config.form.logit_divisor);
  }
  if (const auto chat = chat_format_of(config)) metadata["tokenizer.chat_template"] = chat->template_text;
  return metadata;
}

}  // namespace mformer
