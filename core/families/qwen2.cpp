#include <nlohmann/json.hpp>

#include "core/families/families.h"
#include "core/families/hub_fields.h"
#include "core/families/llama_blocks.h"
#include "core/families/window_fields.h"

namespace mformer::qwen2 {

void read_windows(HubFields& hub, ModelConfig& config) {
  read_windowed_layers(hub, config, [](std::int64_t layer, std::int64_t most) { return layer >= most; });
}

namespace {

void read(HubFields& hub, ModelConfig& config) {
  llama::read_dense(hub, config, 1e-6);
  config.form.in_bias_att = true;  // of queries, keys and values; the output has none
  read_windows(hub, config);
}

void write(const ModelConfig& config, nlohmann::json& hub) {
  llama::write_dense(config, hub);
  write_used_window(config, hub);
}

}  // namespace

const Family kFamily = llama_kin("qwen2", "Qwen2ForCausalLM", read, write, llama_tensors<llama::dense_block>);

}  // namespace mformer::qwen2
