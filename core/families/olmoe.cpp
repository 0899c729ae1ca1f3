#include <nlohmann/json.hpp>

#include "core/families/families.h"
#include "core/families/hub_fields.h"
#include "core/families/llama_blocks.h"
#include "core/families/tensor_table.h"
#include "core/formats/parameter_names.h"

namespace mformer::olmoe {
namespace {

void read(HubFields& hub, ModelConfig& config) {
  read_trunk(hub, config, 1e-5);
  read_dense_attention(hub, config);
  config.form.in_bias_att = config.form.out_bias_att = hub.truth("attention_bias", false);
  config.form.qk_norm = QkNorm::whole;
  if (hub.has("clip_qkv")) {
    config.form.clip_qkv = hub.number("clip_qkv", 0);
    if (config.form.clip_qkv == 0) hub.fail("'clip_qkv' is 0", "it must be above 0, or null for no limit");
  }
  read_experts(hub, config, {"num_experts", "num_local_experts"}, hub.count("intermediate_size"), 0.01);
  config.form.renormalise = hub.truth("norm_topk_prob", false);
}

void write(const ModelConfig& config, nlohmann::json& hub) {
  if (equal_count(config, Kind::att, false) * config.att_hidden != config.n_embd) {
    refuse_export(config, "the norm of its queries must be as wide as the model, and heads were removed or added",
                  "--for transformers writes it in mformer's own layout");
  }
  write_trunk(config, hub);
  write_dense_attention(config, hub);
  hub.erase("head_dim");
  write_experts(config, hub, "num_experts");
  hub["intermediate_size"] = config.ffd_hidden;
  hub["attention_bias"] = config.form.in_bias_att;
  hub["clip_qkv"] = config.form.clip_qkv > 0 ? nlohmann::json(config.form.clip_qkv) : nlohmann::json();
  hub["norm_topk_prob"] = config.form.renormalise;
}

void add_block(TensorTable& table, std::int64_t layer) {
  add_dense_attention(table, layer);
  add_mixture(table, layer);
}

}  // namespace

const Family kFamily = llama_kin("olmoe", "OlmoeForCausalLM", read, write, llama_tensors<add_block>);

}  // namespace mformer::olmoe
