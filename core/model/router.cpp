#include <ATen/ops/cat.h>
#include <ATen/ops/gather.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/multinomial.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/topk.h>

#include "core/model/forward.h"
#include "core/model/layers.h"
#include "kernels/linear.h"
#include "kernels/softmax_top_k.h"

namespace mformer {
namespace {

at::Tensor rows_of(const ModuleBank& bank) {
  std::vector<at::Tensor> rows;
  rows.reserve(bank.modules.size());
  for (const Module& module : bank.modules) rows.push_back(module.row);
  return at::stack(rows);
}

at::Tensor unit_length(const at::Tensor& x) {
  return x / x.norm(2, {-1}, /*keepdim=*/true).clamp_min(1e-12);  // the reference's F.normalize
}

/// Logits over the bank's modules. Always in the weights' dtype: routers are small, and their choice is discrete.
at::Tensor router_logits(const ModelConfig& config, const ModuleBank& bank, const at::Tensor& x,
                         const ForwardOptions& options) {
  const at::Tensor rows = rows_of(bank);
  const at::Tensor input = x.to(rows.scalar_type());
  if (config.gate_type == "linear") return kernels::linear(input, rows);
  const at::Tensor z = kernels::linear(input, bank.router.weight, bank.router.bias);
  if (config.gate_type == "gmm") {
    return kernels::linear(unit_length(z), unit_length(rows)) * bank.router.temperature.exp();
  }
  return kernels::linear(layers::dropout(at::gelu(z), config.moe_pdrop, options), rows);
}

}  // namespace

RouterDecision route(const ModelConfig& config, const ModuleBank& bank, const at::Tensor& x,
                     const ForwardOptions& options) {
  RouterDecision decision;
  decision.logits = router_logits(config, bank, x, options);
  const at::Tensor logits = decision.logits.to(at::promote_types(decision.logits.scalar_type(), at::kFloat));
  const std::int64_t drawn = options.training ? config.sample_topk : 0;
  if (drawn == 0) {
    std::tie(decision.probs, decision.gates, decision.indices) = kernels::softmax_top_k(logits, bank.k);
    return decision;
  }
  decision.probs = at::softmax(logits, 1);
  const at::Tensor best = std::get<1>(decision.probs.topk(bank.k - drawn, 1));
  const at::Tensor others = (decision.probs.detach() + 1e-6).scatter(1, best, 0.0);
  decision.indices = at::cat({best, at::multinomial(others, drawn, false, options.generator)}, 1);
  decision.gates = decision.probs.gather(1, decision.indices);
  return decision;
}

}  // namespace mformer
