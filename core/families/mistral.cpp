#include <nlohmann/json.hpp>

#include "core/families/families.h"
#include "core/families/hub_fields.h"
#include "core/families/llama_blocks.h"
#include "core/families/window_fields.h"

namespace mformer::mistral {
namespace {

void read(HubFields& hub, ModelConfig& config) {
  llama::read_dense(hub, config, 1e-6);
  read_window(hub, config, 4096);
}

void write(const ModelConfig& config, nlohmann::json& hub) {
  llama::write_dense(config, hub);
  write_window(config, hub);
}

}  // namespace

const Family kFamily = llama_kin("mistral", "MistralForCausalLM", read, write, llama_tensors<llama::dense_block>);

}  // namespace mformer::mistral
