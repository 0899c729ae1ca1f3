#include <nlohmann/json.hpp>

#include "core/families/families.h"
#include "core/families/hub_fields.h"
#include "core/families/llama_blocks.h"
#include "core/families/window_fields.h"

namespace mformer::qwen3 {
namespace {

void read(HubFields& hub, ModelConfig& config) {
  llama::read_dense(hub, config, 1e-6, 128);
  config.form.in_bias_att = config.form.out_bias_att = hub.truth("attention_bias", false);
  config.form.qk_norm = QkNorm::head;
  qwen2::read_windows(hub, config);
}

void write(const ModelConfig& config, nlohmann::json& hub) {
  llama::write_dense(config, hub);
  hub["attention_bias"] = config.form.in_bias_att;
  write_used_window(config, hub);
}

}  // namespace

const Family kFamily = llama_kin("qwen3", "Qwen3ForCausalLM", read, write, llama_tensors<llama::dense_block>);

}  // namespace mformer::qwen3
