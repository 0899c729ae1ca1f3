#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/families/families.h"
#include "core/families/hub_fields.h"
#include "core/families/llama_blocks.h"
#include "core/families/tensor_table.h"
#include "core/families/window_fields.h"
#include "core/formats/parameter_names.h"

namespace mformer::qwen3_moe {
namespace {

std::vector<std::int64_t> read_dense_layers(HubFields& hub, const ModelConfig& config) {
  const std::vector<std::int64_t> dense = hub.counts("mlp_only_layers");
  const std::int64_t step = std::max<std::int64_t>(1, hub.count("decoder_sparse_step", 1));
  std::vector<std::int64_t> layers;
  for (std::int64_t layer = 0; layer < config.n_layer; ++layer) {
    const bool listed = std::find(dense.begin(), dense.end(), layer) != dense.end();
    if (listed || (layer + 1) % step != 0) layers.push_back(layer);
  }
  return layers;
}

}  // namespace

void read_mixture(HubFields& hub, ModelConfig& config, bool renormalise) {
  const std::int64_t dense_width = hub.count("intermediate_size");
  read_experts(hub, config, {"num_experts", "num_local_experts"}, hub.count("moe_intermediate_size"));
  config.form.renormalise = hub.truth("norm_topk_prob", renormalise);
  read_dense_feed_forward(hub, config, dense_width, read_dense_layers(hub, config));
  config.extra["intermediate_size"] = dense_width;
}

void write_mixture(const ModelConfig& config, nlohmann::json& hub) {
  write_experts(config, hub, "num_experts");
  hub["moe_intermediate_size"] = config.ffd_hidden;
  hub["norm_topk_prob"] = config.form.renormalise;
  hub["mlp_only_layers"] = config.form.unrouted_layers;
  hub["decoder_sparse_step"] = 1;
  if (!config.form.unrouted_layers.empty()) hub["intermediate_size"] = dense_width(config);
  if (!hub.contains("intermediate_size")) hub["intermediate_size"] = config.ffd_hidden;  // readers want the field
  write_used_window(config, hub);
}

namespace {

void read(HubFields& hub, ModelConfig& config) {
  read_trunk(hub, config, 1e-6);
  read_dense_attention(hub, config);
  config.form.in_bias_att = config.form.out_bias_att = hub.truth("attention_bias", false);
  config.form.qk_norm = QkNorm::head;
  read_mixture(hub, config, false);
  read_used_window(hub, config);  // all layers have it: max_window_layers is not looked at
}

void write(const ModelConfig& config, nlohmann::json& hub) {
  write_trunk(config, hub);
  write_dense_attention(config, hub);
  hub["attention_bias"] = config.form.in_bias_att;
  write_mixture(config, hub);
}

void add_block(TensorTable& table, std::int64_t layer) {
  add_dense_attention(table, layer);
  add_mixture(table, layer);
}

}  // namespace

const Family kFamily = llama_kin("qwen3_moe", "Qwen3MoeForCausalLM", read, write, llama_tensors<add_block>);

}  // namespace mformer::qwen3_moe
