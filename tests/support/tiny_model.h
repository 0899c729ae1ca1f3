#pragma once

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <string>

#include "core/model/model.h"

namespace mformer::testing {

/// Two layers, 16 wide: everything a model has, in milliseconds.
inline ModelConfig tiny_config(const std::string& gate_type = "mlp") {
  ModelConfig config;
  config.vocab_size = 61;
  config.block_size = 24;
  config.history_length = 24;
  config.n_embd = 16;
  config.n_layer = 2;
  config.n_head = 2;
  config.att_hidden = 8;
  config.ffd_hidden = 12;
  config.n_att_experts = 4;
  config.n_mlp_experts = 5;
  config.k_att = 2;
  config.k_mlp = 2;
  config.gating_size = 8;
  config.gate_type = choice_from<GateType>(gate_type).value();
  config.aux_loss_weight = 0.01;
  config.initializer_range = 0.3;
  config.bos_token_id = config.eos_token_id = 60;
  return config;
}

/// A model whose every parameter matters: fresh weights, with the parts that start as zeros, ones or next to nothing
/// drawn at random too.
inline Model tiny_model(const ModelConfig& config = tiny_config(), std::uint64_t seed = 1) {
  Model model = make_model(config, seed);
  at::Generator generator = at::detail::createCPUGenerator(seed + 1000);
  for_each_parameter(model, [&](const ParameterRef& ref) {
    const bool map = ref.name.ends_with(".in") || ref.name.ends_with(".out");
    const bool constant = ref.name.ends_with("bias") || ref.name.find("ln_") != std::string::npos;
    if (map) ref.tensor->mul_(4.0);
    if (constant || ref.name.ends_with("temperature")) {
      ref.tensor->add_(at::empty(ref.tensor->sizes()).normal_(0.0, 0.2, generator));
    }
  });
  return model;
}

/// Random ids below the vocabulary's size.
inline at::Tensor tiny_ids(std::int64_t batch, std::int64_t tokens, std::uint64_t seed = 1) {
  at::Generator generator = at::detail::createCPUGenerator(seed);
  return at::empty({batch, tokens}, at::kLong).random_(0, tiny_config().vocab_size, generator);
}

/// Whether two models hold the same bits.
inline bool same_bits(Model a, Model b) {
  const auto left = parameters(a), right = parameters(b);
  if (left.size() != right.size()) return false;
  for (std::size_t i = 0; i < left.size(); ++i) {
    if (left[i].name != right[i].name || !left[i].tensor->equal(*right[i].tensor)) return false;
  }
  return true;
}

}  // namespace mformer::testing
