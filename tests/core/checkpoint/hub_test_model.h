#pragma once

#include "core/checkpoint/parameter_layout.h"
#include "tests/core/formats/formats_test_support.h"

namespace mformer {

/// A model of 2 small layers, as numbers without meaning.
inline ModelConfig two_layer_config() {
  ModelConfig config;
  config.vocab_size = 11;
  config.n_embd = 4;
  config.n_layer = 2;
  config.n_head = 1;
  config.att_hidden = 2;
  config.ffd_hidden = 3;
  config.gating_size = 5;
  config.n_att_experts = 3;
  config.n_mlp_experts = 4;
  config.bos_token_id = config.eos_token_id = 10;
  return config;
}

inline std::vector<OwnedTensor> random_weights(const ModelConfig& config, unsigned seed = 1) {
  std::mt19937 random(seed);
  std::vector<OwnedTensor> tensors;
  for (const ParameterSpec& parameter : parameter_layout(config)) {
    tensors.push_back(random_tensor(parameter.name, DType::F32, parameter.shape, random));
  }
  return tensors;
}

}  // namespace mformer
