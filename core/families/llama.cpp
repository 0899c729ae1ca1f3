#include <nlohmann/json.hpp>
#include <numeric>

#include "core/families/families.h"
#include "core/families/hub_fields.h"
#include "core/families/llama_blocks.h"

namespace mformer::llama {

// Llama 1 to 3, SmolLM and all that call themselves "llama": dense.

std::vector<std::int64_t> all_layers(const ModelConfig& config) {
  std::vector<std::int64_t> layers(static_cast<std::size_t>(config.n_layer));
  std::iota(layers.begin(), layers.end(), 0);
  return layers;
}

void read_dense(HubFields& hub, ModelConfig& config, double default_eps, std::int64_t default_head) {
  read_trunk(hub, config, default_eps);
  read_dense_attention(hub, config, default_head);
  config.k_mlp = 0;
  config.n_mlp_experts = 0;
  read_dense_feed_forward(hub, config, hub.count("intermediate_size"), all_layers(config));
}

void write_dense(const ModelConfig& config, nlohmann::json& hub) {
  if (config.form.unrouted_layers != all_layers(config)) refuse_export(config, "its feed-forward layers have routers");
  write_trunk(config, hub);
  write_dense_attention(config, hub);
  hub["intermediate_size"] = dense_width(config);
}

void dense_block(TensorTable& table, std::int64_t layer) {
  add_dense_attention(table, layer);
  add_slices(table, layer, llama_layer(layer) + ".mlp");
}

namespace {

void read(HubFields& hub, ModelConfig& config) {
  read_dense(hub, config, 1e-6);
  config.form.in_bias_att = config.form.out_bias_att = hub.truth("attention_bias", false);
  config.form.in_bias_mlp = config.form.out_bias_mlp = hub.truth("mlp_bias", false);
  hub.take("pretraining_tp");  // how an old version split products; the same result
}

void write(const ModelConfig& config, nlohmann::json& hub) {
  const std::int64_t heads = equal_count(config, Kind::att, false) * config.n_head;
  if (config.n_embd % heads != 0) {
    refuse_export(config,
                  "its width, " + std::to_string(config.n_embd) + ", is no multiple of its " + std::to_string(heads) +
                      " attention heads, as transformers wants of this family whatever their size",
                  "--for transformers writes it in mformer's own layout");
  }
  write_dense(config, hub);
  hub["attention_bias"] = config.form.in_bias_att;
  hub["mlp_bias"] = config.form.in_bias_mlp;
}

}  // namespace

const Family kFamily = llama_kin("llama", "LlamaForCausalLM", read, write, llama_tensors<llama::dense_block>);

}  // namespace mformer::llama
