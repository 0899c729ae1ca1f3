#include <algorithm>
#include <array>

#include "core/formats/model_config.h"
#include "modules_registry/error.h"
#include "modules_registry/suggest.h"

namespace mformer {
namespace {

// For training on this machine: a balance loss that keeps modules alive, and no token ids before a tokenizer is chosen.
ModelConfig trainable() {
  ModelConfig config;
  config.aux_loss_weight = 0.01;
  config.bos_token_id = -1;
  config.eos_token_id = -1;
  return config;
}

ModelConfig tiny() {
  ModelConfig config = trainable();
  config.vocab_size = 512;
  config.block_size = config.history_length = 64;
  config.n_embd = 64;
  config.n_layer = 2;
  config.n_head = 2;
  config.att_hidden = 64;
  config.ffd_hidden = 128;
  config.gating_size = 32;
  config.n_att_experts = 4;
  config.n_mlp_experts = 8;
  return config;
}

ModelConfig small() {
  ModelConfig config = trainable();
  config.vocab_size = 4096;
  config.block_size = config.history_length = 256;
  config.n_embd = 192;
  config.n_layer = 4;
  config.n_head = 3;
  config.att_hidden = 192;
  config.ffd_hidden = 384;
  config.gating_size = 96;
  config.n_att_experts = 8;
  config.n_mlp_experts = 16;
  return config;
}

ModelConfig base() {
  ModelConfig config = trainable();
  config.vocab_size = 8192;
  config.block_size = config.history_length = 512;
  config.n_embd = 256;
  config.n_layer = 6;
  config.n_head = 4;
  config.att_hidden = 256;
  config.ffd_hidden = 512;
  config.gating_size = 128;
  config.n_att_experts = 16;
  config.n_mlp_experts = 32;
  return config;
}

// Published: 16 attention and 32 feed-forward modules in every layer, keys and values without a projection.
ModelConfig molm(std::int64_t layers, std::int64_t k) {
  ModelConfig config;
  config.n_embd = 1024;
  config.n_layer = layers;
  config.n_head = 1;
  config.att_hidden = 1024;
  config.ffd_hidden = 2048;
  config.n_att_experts = 16;
  config.n_mlp_experts = 32;
  config.k_att = config.k_mlp = k;
  config.torch_dtype = "bfloat16";
  return config;
}

struct Preset {
  const char* name;
  ModelConfig (*make)();
};

constexpr std::array<Preset, 6> kPresets{{{"tiny", tiny},
                                          {"small", small},
                                          {"base", base},
                                          {"molm-350m-4b", [] { return molm(24, 2); }},
                                          {"molm-700m-4b", [] { return molm(24, 4); }},
                                          {"molm-700m-8b", [] { return molm(48, 2); }}}};

}  // namespace

ModelConfig preset(std::string_view name) {
  for (const Preset& known : kPresets) {
    if (known.name == name) return known.make();
  }
  throw UsageError("there is no preset '" + std::string(name) + "'",
                   suggestion_hint(name, preset_names(), "presets", ""));
}

const std::vector<std::string>& preset_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> list;
    list.reserve(kPresets.size());
    for (const Preset& known : kPresets) list.emplace_back(known.name);
    return list;
  }();
  return names;
}

}  // namespace mformer
