#include <nlohmann/json.hpp>

#include "core/families/families.h"
#include "core/families/hub_fields.h"
#include "core/families/llama_blocks.h"
#include "core/families/tensor_table.h"
#include "core/formats/parameter_names.h"

namespace mformer::jetmoe {
namespace {

// Attention modules as a ModuleFormer's (JetMoE, arXiv 2404.07413), in Llama's house.

/// The model's own repositories have other names for some fields, which win where both stand.
void read_own_spelling(HubFields& hub, ModelConfig& config) {
  config.n_att_experts = config.n_mlp_experts = hub.count("moe_num_experts", hub.count("num_local_experts", 8));
  config.k_att = config.k_mlp = hub.count("moe_top_k", hub.count("num_experts_per_tok", 2));
  config.ffd_hidden = hub.count("ffn_hidden_size", hub.count("intermediate_size", 5632));
}

void read(HubFields& hub, ModelConfig& config) {
  config.tie_word_embeddings = true;
  read_trunk(hub, config, 1e-6);
  config.activation_function = read_activation(hub, "activation_function");
  read_own_spelling(hub, config);
  hub.take("num_attention_heads");  // k · num_key_value_heads
  config.n_head = hub.count("num_key_value_heads", 16);
  config.att_hidden = config.n_head * hub.count("kv_channels", 128);
  config.aux_loss_weight = hub.number("aux_loss_coef", 0.01);
  config.form.top_k_first = true;
  config.form.kv_bias = false;
  config.form.out_bias_att = config.form.out_bias_mlp = true;
  // Whatever the config says: the blocks' norms are made without it.
  config.form.block_eps = 1e-6;
}

void write(const ModelConfig& config, nlohmann::json& hub) {
  write_trunk(config, hub);
  hub.erase("hidden_act");
  const std::int64_t modules = equal_count(config, Kind::att, true);
  if (modules != equal_count(config, Kind::mlp, true)) {
    refuse_export(config, "it has " + std::to_string(modules) + " attention modules and " +
                              std::to_string(config.n_mlp(0)) +
                              " feed-forward modules a layer, and one number tells both");
  }
  hub["activation_function"] = to_string(config.activation_function);
  hub["num_local_experts"] = modules;
  hub["num_experts_per_tok"] = config.k_att;
  hub["intermediate_size"] = config.ffd_hidden;
  hub["num_key_value_heads"] = config.n_head;
  hub["num_attention_heads"] = config.n_head * config.k_att;
  hub["kv_channels"] = config.head_size();
  hub["aux_loss_coef"] = config.aux_loss_weight;
}

void add_keys_and_values(TensorTable& table, const std::string& name, const std::string& block) {
  const std::int64_t width = table.config().att_hidden;
  table.add({name,
             {2 * width, table.config().n_embd},
             {{block + ".k_proj.weight", -1, {0, width}, {}, false},
              {block + ".v_proj.weight", -1, {width, width}, {}, false}}});
}

void add_block(TensorTable& table, std::int64_t layer) {
  const std::string attention = llama_layer(layer) + ".self_attention", mlp = llama_layer(layer) + ".mlp";
  const std::string block = names::layer(layer);
  table.stacked(attention + ".experts.input_linear.weight", layer, Kind::att, ".in", true);
  table.stacked(attention + ".experts.output_linear.weight", layer, Kind::att, ".out", true);
  table.stacked(attention + ".experts.router.layer.weight", layer, Kind::att, ".row", false);
  table.whole(attention + ".experts.bias", block + ".att_bias");
  add_keys_and_values(table, attention + ".kv_proj.weight", block);
  table.stacked(mlp + ".input_linear.weight", layer, Kind::mlp, ".in", true);
  table.stacked(mlp + ".output_linear.weight", layer, Kind::mlp, ".out", true);
  table.stacked(mlp + ".router.layer.weight", layer, Kind::mlp, ".row", false);
  table.whole(mlp + ".bias", block + ".mlp_bias");
}

}  // namespace

const Family kFamily = llama_kin("jetmoe", "JetMoeForCausalLM", read, write, llama_tensors<add_block>);

}  // namespace mformer::jetmoe
