#include <nlohmann/json.hpp>

#include "core/families/families.h"
#include "core/families/hub_fields.h"
#include "core/families/llama_blocks.h"
#include "core/families/tensor_table.h"
#include "core/formats/parameter_names.h"

namespace mformer::granitemoe {
void read(HubFields& hub, ModelConfig& config) {
  config.tie_word_embeddings = false;
  read_trunk(hub, config, 1e-6);
  read_dense_attention(hub, config);
  config.form.in_bias_att = config.form.out_bias_att = hub.truth("attention_bias", false);
  read_experts(hub, config, {"num_local_experts"}, hub.count("intermediate_size"));
  config.form.top_k_first = true;
  config.form.embedding_scale = hub.number("embedding_multiplier", 1);
  config.form.residual_scale = hub.number("residual_multiplier", 1);
  config.form.attention_scale = hub.number("attention_multiplier", 1);
  if (config.form.attention_scale == 0) hub.fail("'attention_multiplier' is 0", "it must be above 0");
  config.form.logit_divisor = hub.number("logits_scaling", 1);
}

void write(const ModelConfig& config, nlohmann::json& hub) {
  write_trunk(config, hub);
  write_dense_attention(config, hub);
  write_experts(config, hub, "num_local_experts");
  hub["intermediate_size"] = config.ffd_hidden;
  hub["attention_bias"] = config.form.in_bias_att;
  hub["embedding_multiplier"] = config.form.embedding_scale;
  hub["residual_multiplier"] = config.form.residual_scale;
  hub["attention_multiplier"] = config.form.attention_scale;
  hub["logits_scaling"] = config.form.logit_divisor;
}

void add_block(TensorTable& table, std::int64_t layer) {
  const std::string moe = llama_layer(layer) + ".block_sparse_moe";
  add_dense_attention(table, layer);
  table.stacked(moe + ".input_linear.weight", layer, Kind::mlp, ".in", true);
  table.stacked(moe + ".output_linear.weight", layer, Kind::mlp, ".out", true);
  table.stacked(moe + ".router.layer.weight", layer, Kind::mlp, ".row", false);
}

const Family kFamily = llama_kin("granitemoe", "GraniteMoeForCausalLM", read, write, llama_tensors<add_block>);

}  // namespace mformer::granitemoe
