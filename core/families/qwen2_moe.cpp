#include <nlohmann/json.hpp>

#include "core/families/families.h"
#include "core/families/hub_fields.h"
#include "core/families/llama_blocks.h"
#include "core/families/tensor_table.h"
#include "core/families/window_fields.h"
#include "core/formats/parameter_names.h"

namespace mformer::qwen2_moe {
namespace {

void read(HubFields& hub, ModelConfig& config) {
  read_trunk(hub, config, 1e-6);
  read_dense_attention(hub, config);
  config.form.in_bias_att = hub.truth("qkv_bias", true);
  config.form.shared_hidden = hub.count("shared_expert_intermediate_size", 5632);
  config.form.shared_gate = config.form.shared_hidden > 0;
  qwen3_moe::read_mixture(hub, config, false);
  // Every second layer of those below max_window_layers.
  read_windowed_layers(hub, config,
                       [](std::int64_t layer, std::int64_t most) { return layer % 2 == 0 && layer < most; });
}

void write(const ModelConfig& config, nlohmann::json& hub) {
  if (config.form.shared_hidden == 0) refuse_export(config, "it has no expert that every token takes");
  write_trunk(config, hub);
  write_dense_attention(config, hub);
  hub["qkv_bias"] = config.form.in_bias_att;
  hub["shared_expert_intermediate_size"] = config.form.shared_hidden;
  qwen3_moe::write_mixture(config, hub);
}

void add_shared(TensorTable& table, std::int64_t layer) {
  const std::string mlp = llama_layer(layer) + ".mlp";
  const std::int64_t width = table.config().form.shared_hidden;
  const std::string ours = names::layer(layer) + ".shared";
  table.columns(mlp + ".shared_expert.gate_proj.weight", ours + ".in", 0, width);
  table.columns(mlp + ".shared_expert.up_proj.weight", ours + ".in", width, width);
  table.whole(mlp + ".shared_expert.down_proj.weight", ours + ".out", true);
  table.add({mlp + ".shared_expert_gate.weight", {1, table.config().n_embd}, {{ours + ".gate", 0}}});
}

void add_block(TensorTable& table, std::int64_t layer) {
  const ModelForm& form = table.config().form;
  add_dense_attention(table, layer);
  add_mixture(table, layer);
  if (form.shared_hidden > 0 && form.mlp_routed(layer)) add_shared(table, layer);
}

}  // namespace

const Family kFamily = llama_kin("qwen2_moe", "Qwen2MoeForCausalLM", read, write, llama_tensors<add_block>);

}  // namespace mformer::qwen2_moe
