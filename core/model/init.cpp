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

Affine norm(const ModelConfig& config) {
  const bool has_bias = config.form.norm == NormKind::layer;
  return {at::ones({config.n_embd}, at::kFloat), has_bias ? at::zeros({config.n_embd}, at::kFloat) : at::Tensor()};
}

at::Tensor zeros_if(bool wanted, std::int64_t width) {
  return wanted ? at::zeros({width}, at::kFloat) : at::Tensor();
}

ModuleBank make_bank(const ModelConfig& config, std::int64_t layer, Kind kind, at::Generator& generator) {
  ModuleBank bank;
  bank.kind = kind;
  bank.k = kind == Kind::att ? config.k_att : config.k_mlp;
  bank.routed = config.routed(kind, layer);
  if (bank.routed && config.gate_type != GateType::linear) {
    bank.router.weight = normal({config.gating_size, config.n_embd}, config.initializer_range, generator);
  }
  if (bank.routed && config.gate_type == GateType::mlp) bank.router.bias = at::zeros({config.gating_size}, at::kFloat);
  if (bank.routed && config.gate_type == GateType::gmm) bank.router.temperature = at::zeros({1}, at::kFloat);
  for (std::int64_t i = 0; i < config.modules(kind, layer); ++i) {
    bank.modules.push_back(make_module(config, layer, kind, generator));
  }
  return bank;
}

SharedExpert make_shared(const ModelConfig& config, at::Generator& generator) {
  const std::int64_t width = config.form.shared_hidden;
  SharedExpert shared;
  shared.in = normal({config.n_embd, width * (config.form.gated ? 2 : 1)}, config.initializer_range, generator);
  shared.out = normal({width, config.n_embd}, config.initializer_range, generator);
  if (config.form.shared_gate) shared.gate = normal({config.n_embd}, config.initializer_range, generator);
  return shared;
}

Affine make_projection(const ModelConfig& config, at::Generator& generator) {
  return {normal({config.att_hidden, config.n_embd}, config.initializer_range, generator),
          zeros_if(config.form.kv_bias, config.att_hidden)};
}

Block make_block(const ModelConfig& config, std::int64_t layer, at::Generator& generator) {
  const ModelForm& form = config.form;
  Block block;
  block.ln_1 = norm(config);
  if (config.has_kv_projection()) {
    block.k_proj = make_projection(config, generator);
    block.v_proj = make_projection(config, generator);
  }
  if (form.qk_norm == QkNorm::head) {
    block.q_norm = at::ones({config.head_size()}, at::kFloat);
    block.k_norm = at::ones({config.head_size()}, at::kFloat);
  }
  block.att = make_bank(config, layer, Kind::att, generator);
  block.att_bias = zeros_if(form.out_bias_att, config.n_embd);
  block.ln_2 = norm(config);
  block.mlp = make_bank(config, layer, Kind::mlp, generator);
  block.mlp_bias = zeros_if(form.out_bias_mlp, config.n_embd);
  if (form.shared_hidden > 0 && form.mlp_routed(layer)) block.shared = make_shared(config, generator);
  return block;
}

}  // namespace

Module make_module(const ModelConfig& config, std::int64_t layer, Kind kind, at::Generator& generator) {
  const ModelForm& form = config.form;
  const std::int64_t hidden = config.hidden(kind, layer), columns = config.in_width(kind, layer);
  const bool routed = config.routed(kind, layer);
  Module module;
  // The reference draws its modules by their fan-in; other families draw every matrix alike.
  const bool by_fan_in = form == ModelForm();
  const double range = config.initializer_range;
  module.in = by_fan_in ? uniform_by_fan_in(config.n_embd, columns, generator)
                        : normal({config.n_embd, columns}, range, generator);
  module.out = by_fan_in ? uniform_by_fan_in(hidden, config.n_embd, generator)
                         : normal({hidden, config.n_embd}, range, generator);
  if (routed) {
    const std::int64_t row = config.gate_type == GateType::linear ? config.n_embd : config.gating_size;
    module.row = normal({row}, config.gate_type == GateType::gmm ? 1.0 : range, generator);
  }
  module.in_bias = zeros_if(!routed && (kind == Kind::att ? form.in_bias_att : form.in_bias_mlp), columns);
  if (kind == Kind::att && form.qk_norm == QkNorm::whole) {
    module.head_norm = at::ones({config.att_hidden + config.head_size()}, at::kFloat);
  }
  return module;
}

Model make_model(const ModelConfig& config, std::uint64_t seed) {
  config.validate();
  at::Generator generator = at::detail::createCPUGenerator(seed);
  Model model;
  model.config = config;
  model.wte = normal({config.vocab_size, config.n_embd}, config.initializer_range, generator);
  for (std::int64_t l = 0; l < config.n_layer; ++l) model.blocks.push_back(make_block(config, l, generator));
  model.ln_f = norm(config);
  model.lm_head = config.tie_word_embeddings
                      ? model.wte
                      : normal({config.vocab_size, config.n_embd}, config.initializer_range, generator);
  return model;
}

}  // namespace mformer
