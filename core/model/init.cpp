#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include "core/model/model.h"

namespace mformer {
namespace {

at::Tensor normal(at::IntArrayRef sizes, double std, at::Generator& generator) {
  return at::empty(sizes, at::kFloat).normal_(0.0, std, generator);
}

/// The reference's rule for module maps: uniform in ±1/fan-in.
at::Tensor uniform_by_fan_in(std::int64_t in, std::int64_t out, at::Generator& generator) {
  const double bound = 1.0 / static_cast<double>(in);
  return at::empty({in, out}, at::kFloat).uniform_(-bound, bound, generator);
}

Affine norm(std::int64_t width) {
  return {at::ones({width}, at::kFloat), at::zeros({width}, at::kFloat)};
}

ModuleBank make_bank(const ModelConfig& config, Kind kind, std::int64_t modules, at::Generator& generator) {
  ModuleBank bank;
  bank.kind = kind;
  bank.k = kind == Kind::att ? config.k_att : config.k_mlp;
  if (config.gate_type != "linear") {
    bank.router.weight = normal({config.gating_size, config.n_embd}, config.initializer_range, generator);
  }
  if (config.gate_type == "mlp") bank.router.bias = at::zeros({config.gating_size}, at::kFloat);
  if (config.gate_type == "gmm") bank.router.temperature = at::zeros({1}, at::kFloat);
  for (std::int64_t i = 0; i < modules; ++i) bank.modules.push_back(make_module(config, kind, generator));
  return bank;
}

Block make_block(const ModelConfig& config, std::int64_t layer, at::Generator& generator) {
  Block block;
  block.ln_1 = norm(config.n_embd);
  if (config.has_kv_projection()) {
    block.k_proj = {normal({config.att_hidden, config.n_embd}, config.initializer_range, generator),
                    at::zeros({config.att_hidden}, at::kFloat)};
    block.v_proj = {normal({config.att_hidden, config.n_embd}, config.initializer_range, generator),
                    at::zeros({config.att_hidden}, at::kFloat)};
  }
  block.att = make_bank(config, Kind::att, config.n_att(layer), generator);
  block.ln_2 = norm(config.n_embd);
  block.mlp = make_bank(config, Kind::mlp, config.n_mlp(layer), generator);
  return block;
}

}  // namespace

Module make_module(const ModelConfig& config, Kind kind, at::Generator& generator) {
  const std::int64_t hidden = kind == Kind::att ? config.att_hidden : config.ffd_hidden;
  Module module;
  module.in = uniform_by_fan_in(config.n_embd, hidden, generator);
  module.out = uniform_by_fan_in(hidden, config.n_embd, generator);
  const std::int64_t row = config.gate_type == "linear" ? config.n_embd : config.gating_size;
  module.row = normal({row}, config.gate_type == "gmm" ? 1.0 : config.initializer_range, generator);
  return module;
}

Model make_model(const ModelConfig& config, std::uint64_t seed) {
  config.validate();
  at::Generator generator = at::detail::createCPUGenerator(seed);
  Model model;
  model.config = config;
  model.wte = normal({config.vocab_size, config.n_embd}, config.initializer_range, generator);
  for (std::int64_t l = 0; l < config.n_layer; ++l) model.blocks.push_back(make_block(config, l, generator));
  model.ln_f = norm(config.n_embd);
  model.lm_head = config.tie_word_embeddings
                      ? model.wte
                      : normal({config.vocab_size, config.n_embd}, config.initializer_range, generator);
  return model;
}

}  // namespace mformer
