#include <nlohmann/json.hpp>

#include "core/families/families.h"
#include "core/families/hub_fields.h"
#include "core/families/llama_blocks.h"
#include "core/families/tensor_table.h"
#include "core/formats/parameter_names.h"

namespace mformer::granitemoeshared {
namespace {

void read(HubFields& hub, ModelConfig& config) {
  granitemoe::read(hub, config);
  config.form.shared_hidden = hub.count("shared_intermediate_size", 0);
}

void write(const ModelConfig& config, nlohmann::json& hub) {
  granitemoe::write(config, hub);
  hub["shared_intermediate_size"] = config.form.shared_hidden;
}

void add_block(TensorTable& table, std::int64_t layer) {
  granitemoe::add_block(table, layer);
  if (table.config().form.shared_hidden == 0) return;
  const std::string shared = llama_layer(layer) + ".shared_mlp", ours = names::layer(layer) + ".shared";
  table.whole(shared + ".input_linear.weight", ours + ".in", true);
  table.whole(shared + ".output_linear.weight", ours + ".out", true);
}

}  // namespace

const Family kFamily =
    llama_kin("granitemoeshared", "GraniteMoeSharedForCausalLM", read, write, llama_tensors<add_block>);

}  // namespace mformer::granitemoeshared
