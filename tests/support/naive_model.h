#pragma once

#include <ATen/ATen.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <vector>

#include "core/model/model.h"
#include "tests/support/naive_attention.h"

/// The model once more, in the plainest way and in float64: every module works on every token, and a matrix of gates,
/// zero where a module was not chosen, weighs the results. A masked module has logit −∞.
namespace mformer::testing {

inline at::Tensor in_double(const at::Tensor& x) {
  return x.detach().to(at::kDouble);
}

inline at::Tensor naive_norm(const at::Tensor& x, const Affine& norm) {
  const at::Tensor centred = x - x.mean(-1, true);
  return centred / (centred.square().mean(-1, true) + 1e-5).sqrt() * in_double(norm.weight) + in_double(norm.bias);
}

/// [tokens, modules]
inline at::Tensor naive_logits(const ModelConfig& config, const ModuleBank& bank, const at::Tensor& x) {
  std::vector<at::Tensor> columns;
  for (const Module& module : bank.modules) {
    const at::Tensor row = in_double(module.row);
    if (config.gate_type == GateType::linear) {
      columns.push_back(x.mv(row));
      continue;
    }
    at::Tensor z = x.mm(in_double(bank.router.weight).t());
    if (config.gate_type == GateType::gmm) {
      const at::Tensor cosine = z.mv(row) / (z.square().sum(1).sqrt() * row.norm());
      columns.push_back(cosine * in_double(bank.router.temperature).exp());
    } else {
      z = z + in_double(bank.router.bias);
      columns.push_back((0.5 * z * (1.0 + (z / std::sqrt(2.0)).erf())).mv(row));  // exact GELU
    }
  }
  return at::stack(columns, 1);
}

/// [tokens, modules]: each token's k largest probabilities in place, zero elsewhere.
inline at::Tensor naive_gates(const ModelConfig& config, const ModuleBank& bank, const at::Tensor& x,
                              const std::optional<std::vector<std::int64_t>>& keep) {
  at::Tensor logits = naive_logits(config, bank, x);
  for (std::int64_t m = 0; keep.has_value() && m < logits.size(1); ++m) {
    const bool kept = std::find(keep->begin(), keep->end(), m) != keep->end();
    if (!kept) logits.select(1, m).fill_(-std::numeric_limits<double>::infinity());
  }
  const at::Tensor exps = (logits - std::get<0>(logits.max(1, true))).exp();
  const at::Tensor probs = exps / exps.sum(1, true);
  at::Tensor gates = at::zeros_like(probs);
  for (std::int64_t t = 0; t < probs.size(0); ++t) {
    at::Tensor left = probs[t].clone();
    for (std::int64_t choice = 0; choice < bank.k; ++choice) {
      const auto best = left.argmax().item<std::int64_t>();
      gates[t][best] = probs[t][best];
      left[best] = -1.0;
    }
  }
  return gates;
}

inline at::Tensor naive_activation(ActivationFunction function, const at::Tensor& x) {
  const std::string_view name = to_string(function);
  if (name == "relu") return x * x.gt(0);
  if (name == "silu") return x / (1.0 + (-x).exp());
  if (name == "tanh") return x.tanh();
  if (name == "gelu") return 0.5 * x * (1.0 + (x / std::sqrt(2.0)).erf());
  return 0.5 * x * (1.0 + (std::sqrt(2.0 / M_PI) * (x + 0.044715 * x.pow(3))).tanh());  // gelu_new
}

/// Hidden states after the last norm [batch, tokens, n_embd]. `keep`: modules that are not masked; absent = all.
inline at::Tensor naive_forward(const Model& model, const at::Tensor& ids,
                                const std::optional<ModuleSelection>& keep = std::nullopt,
                                const std::optional<at::Tensor>& mask = std::nullopt) {
  const ModelConfig& config = model.config;
  const std::int64_t batch = ids.size(0), tokens = ids.size(1);
  at::Tensor x = in_double(model.wte).index({ids});
  const auto weighed = [&](const at::Tensor& gates, const std::vector<at::Tensor>& outputs) {
    at::Tensor sum = at::zeros({batch * tokens, config.n_embd}, at::kDouble);
    for (std::size_t m = 0; m < outputs.size(); ++m) {
      sum = sum + gates.select(1, static_cast<std::int64_t>(m)).unsqueeze(1) * outputs[m];
    }
    return sum.view_as(x);
  };
  for (std::size_t l = 0; l < model.blocks.size(); ++l) {
    const Block& block = model.blocks[l];
    const auto kept = [&](Kind kind) { return keep ? std::optional(keep->of(kind)[l]) : std::nullopt; };

    const at::Tensor a = naive_norm(x, block.ln_1), flat = a.reshape({-1, config.n_embd});
    const auto heads = [&](const at::Tensor& y) { return y.view({batch, tokens, config.n_head, config.head_size()}); };
    const auto projected = [&](const Affine& p) {
      return heads(p.weight.defined() ? a.matmul(in_double(p.weight).t()) + in_double(p.bias) : a);
    };
    std::vector<at::Tensor> queries, outputs;
    for (const Module& module : block.att.modules) queries.push_back(heads(flat.mm(in_double(module.in))));
    const at::Tensor read =
        differentiable_attention(at::stack(queries, 2), projected(block.k_proj), projected(block.v_proj), mask);
    for (std::size_t m = 0; m < block.att.modules.size(); ++m) {
      const at::Tensor one = read.select(2, static_cast<std::int64_t>(m)).reshape({-1, config.att_hidden});
      outputs.push_back(one.mm(in_double(block.att.modules[m].out)));
    }
    x = x + weighed(naive_gates(config, block.att, flat, kept(Kind::att)), outputs);

    const at::Tensor b = naive_norm(x, block.ln_2).reshape({-1, config.n_embd});
    outputs.clear();
    for (const Module& module : block.mlp.modules) {
      outputs.push_back(
          naive_activation(config.activation_function, b.mm(in_double(module.in))).mm(in_double(module.out)));
    }
    x = x + weighed(naive_gates(config, block.mlp, b, kept(Kind::mlp)), outputs);
  }
  return naive_norm(x, model.ln_f);
}

}  // namespace mformer::testing
