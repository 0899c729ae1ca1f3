#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/families/gguf_fields.h"
#include "core/families/gguf_model.h"
#include "core/families/gguf_rotary.h"
#include "core/formats/gguf_chat.h"
#include "core/formats/quoted_name.h"

namespace mformer {
namespace {

using nlohmann::json;

bool has_tensor(const GgufFields& fields, const char* name) {
  return fields.tensor(name) != nullptr;
}

json end_tokens(GgufFields& fields) {
  json ends = json::array();
  for (const char* key :
       {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"}) {
    const std::int64_t id = fields.count(key, -1);
    if (id >= 0 && std::ranges::find(ends, json(id)) == ends.end()) ends.push_back(id);
  }
  return ends.empty() ? json() : ends.size() == 1 ? ends.front() : ends;
}

/// What all architectures spell alike.
json read_gguf_trunk(GgufFields& fields) {
  const GgufTensor* const embedding = fields.tensor("token_embd.weight");
  if (embedding == nullptr || embedding->shape.size() != 2) {
    fields.fail("it has no matrix 'token_embd.weight'", "a file of a tokenizer alone is no model");
  }
  const std::int64_t width = fields.count("embedding_length"), heads = fields.count("attention.head_count");
  if (heads < 1 || width < 1) fields.fail("'attention.head_count' or 'embedding_length' is below 1", "fetch it again");
  const std::int64_t head_size = fields.count("attention.key_length", width / heads);
  if (head_size < 1) fields.fail("its heads are " + std::to_string(head_size) + " wide", "fetch the file again");
  if (const std::int64_t value = fields.count("attention.value_length", head_size); value != head_size) {
    fields.fail("values have " + std::to_string(value) + " numbers, keys " + std::to_string(head_size),
                "mformer computes equal sizes");
  }
  const std::int64_t context = fields.count("context_length");
  const std::int64_t bos = fields.count("tokenizer.ggml.bos_token_id", -1);
  json hub = {{"vocab_size", embedding->shape.front()},
              {"hidden_size", width},
              {"num_hidden_layers", fields.count("block_count")},
              {"max_position_embeddings", context},
              {"num_attention_heads", heads},
              {"num_key_value_heads", fields.count("attention.head_count_kv", heads)},
              {"head_dim", head_size},
              {"hidden_act", "silu"},
              {"tie_word_embeddings", !has_tensor(fields, "output.weight")},
              {"bos_token_id", bos < 0 ? json() : json(bos)},
              {"eos_token_id", end_tokens(fields)}};
  if (!fields.has("attention.layer_norm_rms_epsilon")) fields.count("attention.layer_norm_rms_epsilon");
  hub["rms_norm_eps"] = fields.number("attention.layer_norm_rms_epsilon", 0);
  read_gguf_rotary(fields, head_size, context, hub);
  return hub;
}

void read_gguf_experts(GgufFields& fields, json& hub) {
  hub["num_experts"] = fields.count("expert_count");
  hub["num_experts_per_tok"] = fields.count("expert_used_count");
}

void read_llama(GgufFields& fields, json& hub) {
  hub["intermediate_size"] = fields.count("feed_forward_length");
  if (fields.count("expert_count", 0) == 0) {
    hub["model_type"] = "llama";
    hub["attention_bias"] = has_tensor(fields, "blk.0.attn_q.bias");
    hub["mlp_bias"] = has_tensor(fields, "blk.0.ffn_gate.bias");
    fields.require("expert_used_count", 0);
    return;
  }
  hub["model_type"] = "mixtral";
  hub["num_local_experts"] = fields.count("expert_count");
  hub["num_experts_per_tok"] = fields.count("expert_used_count");
}

void read_qwen2(GgufFields& fields, json& hub) {
  hub["model_type"] = "qwen2";
  hub["intermediate_size"] = fields.count("feed_forward_length");
}

void read_qwen3(GgufFields& fields, json& hub) {
  hub["model_type"] = "qwen3";
  hub["intermediate_size"] = fields.count("feed_forward_length");
}

/// The width of an expert, by its tensor where no key tells it.
std::int64_t expert_width(GgufFields& fields) {
  const GgufTensor* const gate = fields.tensor("blk.0.ffn_gate_exps.weight");
  const std::int64_t stored = gate != nullptr && gate->shape.size() == 3 ? gate->shape[1] : 0;
  return fields.count("expert_feed_forward_length", stored);
}

void read_qwen2moe(GgufFields& fields, json& hub) {
  hub["model_type"] = "qwen2_moe";
  read_gguf_experts(fields, hub);
  hub["moe_intermediate_size"] = expert_width(fields);
  hub["intermediate_size"] = fields.count("feed_forward_length", 0);
  const GgufTensor* const shared = fields.tensor("blk.0.ffn_gate_shexp.weight");
  hub["shared_expert_intermediate_size"] =
      fields.count("expert_shared_feed_forward_length", shared == nullptr ? 0 : shared->shape.front());
  hub["norm_topk_prob"] = false;
  hub["qkv_bias"] = has_tensor(fields, "blk.0.attn_q.bias");
}

void read_qwen3moe(GgufFields& fields, json& hub) {
  hub["model_type"] = "qwen3_moe";
  read_gguf_experts(fields, hub);
  hub["moe_intermediate_size"] = expert_width(fields);
  hub["intermediate_size"] = fields.count("feed_forward_length", 0);
  hub["norm_topk_prob"] = true;
  fields.require("expert_shared_feed_forward_length", 0);
}

void read_olmoe(GgufFields& fields, json& hub) {
  hub["model_type"] = "olmoe";
  read_gguf_experts(fields, hub);
  hub["intermediate_size"] = fields.count("feed_forward_length");
  hub["norm_topk_prob"] = false;
  hub.erase("head_dim");  // always width / heads
}

void read_granitemoe(GgufFields& fields, json& hub) {
  const std::int64_t shared = fields.count("expert_shared_feed_forward_length", 0);
  hub["model_type"] = shared > 0 ? "granitemoeshared" : "granitemoe";
  if (shared > 0) hub["shared_intermediate_size"] = shared;
  hub["num_local_experts"] = fields.count("expert_count");
  hub["num_experts_per_tok"] = fields.count("expert_used_count");
  hub["intermediate_size"] = fields.count("feed_forward_length");
  hub["attention_bias"] = has_tensor(fields, "blk.0.attn_q.bias");
  hub["embedding_multiplier"] = fields.number("embedding_scale", 1);
  hub["residual_multiplier"] = fields.number("residual_scale", 1);
  hub["attention_multiplier"] = fields.number("attention.scale", 1);
  hub["logits_scaling"] = fields.number("logit_scale", 1);
  fields.require("rope.scaling.finetuned", 1);  // false: no positions at all
}

struct Architecture {
  const char* name;
  void (*read)(GgufFields& fields, json& hub);
};

constexpr Architecture kArchitectures[] = {
    {"llama", read_llama},       {"qwen2", read_qwen2}, {"qwen3", read_qwen3},          {"qwen2moe", read_qwen2moe},
    {"qwen3moe", read_qwen3moe}, {"olmoe", read_olmoe}, {"granitemoe", read_granitemoe}};

const Architecture& architecture_of(const GgufFields& fields) {
  std::string known;
  for (const Architecture& one : kArchitectures) {
    if (fields.architecture() == one.name) return one;
    known += (known.empty() ? "" : ", ") + std::string(one.name);
  }
  fields.fail("the model is of the architecture " + quoted_name(fields.architecture()) +
                  ", which mformer does not read from GGUF files",
              "it reads " + known);
}

/// Keys that say what changes nothing here, or must have the one value that is computed.
void require_the_rest(GgufFields& fields) {
  for (const char* key : {"vocab_size", "tensor_data_layout", "rope.scaling.finetuned"}) fields.has(key);
  fields.require("attention.causal", 1);
  fields.require("attention.sliding_window", 0);
  fields.require("use_parallel_residual", 0);
  fields.require("expert_gating_func", 1);  // softmax
  fields.require("expert_shared_count", 1);
  fields.require_all_known();
}

}  // namespace

HubConfig read_gguf_config(const std::vector<GgufFile>& files, const ReadOptions& options) {
  GgufFields fields(files);
  const Architecture& architecture = architecture_of(fields);
  json hub = read_gguf_trunk(fields);
  architecture.read(fields, hub);
  require_the_rest(fields);
  HubConfig read = read_hub_config(hub.dump(), fields.source(), options);
  read.layout = &gguf_layout();
  set_chat_format(read.config, gguf_chat_format(files.front().metadata(), fields.source()),
                  "'" + fields.source() + "'");
  return read;
}

}  // namespace mformer
