#include <nlohmann/json.hpp>

#include "core/families/families.h"
#include "core/families/hub_fields.h"
#include "core/families/llama_blocks.h"
#include "core/families/tensor_table.h"
#include "core/families/window_fields.h"
#include "core/formats/parameter_names.h"

namespace mformer::mixtral {
namespace {

void read(HubFields& hub, ModelConfig& config) {
  read_trunk(hub, config, 1e-5, 1e6);
  read_dense_attention(hub, config);
  read_experts(hub, config, {"num_local_experts"}, hub.count("intermediate_size"));
  config.form.renormalise = true;
  read_window(hub, config, 0);
}

void write(const ModelConfig& config, nlohmann::json& hub) {
  write_trunk(config, hub);
  write_dense_attention(config, hub);
  write_experts(config, hub, "num_local_experts");
  hub["intermediate_size"] = config.ffd_hidden;
  write_window(config, hub);
}

void add_block(TensorTable& table, std::int64_t layer) {
  const std::string moe = llama_layer(layer) + ".block_sparse_moe";
  add_dense_attention(table, layer);
  table.stacked(moe + ".gate.weight", layer, Kind::mlp, ".row", false);
  add_experts(table, layer, moe + ".experts", "w1", "w3", "w2");
}

}  // namespace

const Family kFamily = llama_kin("mixtral", "MixtralForCausalLM", read, write, llama_tensors<add_block>);

}  // namespace mformer::mixtral
