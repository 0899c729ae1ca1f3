#include <nlohmann/json.hpp>

#include "core/families/families.h"
#include "core/families/hub_fields.h"
#include "core/families/llama_blocks.h"

namespace mformer::qwen2 {
namespace {

void read(HubFields& hub, ModelConfig& config) {
  llama::read_dense(hub, config, 1e-6);
  config.form.in_bias_att = true;  // of queries, keys and values; the output has none
  const bool windows = hub.truth("use_sliding_window", false);
  read_window(hub, config, windows, hub.count("max_window_layers", 28));
}

void write(const ModelConfig& config, nlohmann::json& hub) {
  llama::write_dense(config, hub);
  write_window(config, hub);
}

}  // namespace

const Family kFamily = {"qwen2",
                        "Qwen2ForCausalLM",
                        read,
                        write,
                        llama::dense_tensors,
                        is_llama_buffer,
                        "model.embed_tokens.weight",
                        "lm_head.weight"};

}  // namespace mformer::qwen2
