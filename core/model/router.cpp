#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/gather.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/multinomial.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/topk.h>

#include <limits>

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

/// What the rows are multiplied with. Always in the weights' dtype: routers are small, and their choice is discrete.
at::Tensor router_input(const ModelConfig& config, const ModuleBank& bank, const at::Tensor& x,
                        const ForwardOptions& options) {
  const at::Tensor input = x.to(bank.modules.at(0).row.scalar_type());
  if (config.gate_type == GateType::linear) return input;
  const at::Tensor z = kernels::linear(input, bank.router.weight, bank.router.bias);
  return config.gate_type == GateType::gmm ? unit_length(z) : layers::dropout(at::gelu(z), config.moe_pdrop, options);
}

/// Logits over the bank's modules.
at::Tensor router_logits(const ModelConfig& config, const ModuleBank& bank, const at::Tensor& input) {
  const at::Tensor rows = rows_of(bank);
  if (config.gate_type != GateType::gmm) return kernels::linear(input, rows);
  return kernels::linear(input, unit_length(rows)) * bank.router.temperature.exp();
}

/// Softmax and choice of k, in training with the last sample_topk of them drawn at random.
void choose(const ModelConfig& config, std::int64_t k, const at::Tensor& logits, const ForwardOptions& options,
            RouterDecision& decision) {
  const std::int64_t drawn = options.training ? config.sample_topk : 0;
  if (drawn == 0) {
    const kernels::ChoiceForm form{config.form.top_k_first, config.form.renormalise};
    std::tie(decision.probs, decision.gates, decision.indices) = kernels::softmax_top_k(logits, k, form);
    return;
  }
  decision.probs = at::softmax(logits, 1);
  const at::Tensor best = std::get<1>(decision.probs.topk(k - drawn, 1));
  const at::Tensor others = (decision.probs.detach() + 1e-6).scatter(1, best, 0.0).cpu();
  const at::Tensor all = at::multinomial(layers::among_all(others, 1.0, options), drawn, false, options.generator);
  const at::Tensor random = layers::own_of_all(all, options).to(best.device());
  decision.indices = at::cat({best, random}, 1);
  decision.gates = decision.probs.gather(1, decision.indices);
  if (config.form.top_k_first || config.form.renormalise) decision.gates = decision.gates / decision.gates.sum(1, true);
}

/// Every token takes every module as it is.
RouterDecision take_all(const ModuleBank& bank, const at::Tensor& x) {
  RouterDecision decision;
  const at::ScalarType dtype = at::promote_types(x.scalar_type(), at::kFloat);
  decision.indices =
      at::arange(bank.size(), x.options().dtype(at::kLong)).expand({x.size(0), bank.size()}).contiguous();
  decision.gates = at::ones({x.size(0), bank.size()}, x.options().dtype(dtype));
  return decision;
}

}  // namespace

RouterDecision route(const ModelConfig& config, const ModuleBank& bank, const at::Tensor& x,
                     const ForwardOptions& options) {
  if (!bank.routed) return take_all(bank, x);
  RouterDecision decision;
  const at::Tensor input = router_input(config, bank, x, options);
  if (options.router_inputs) decision.input = input;
  decision.logits = router_logits(config, bank, input);
  const at::Tensor logits = decision.logits.to(at::promote_types(decision.logits.scalar_type(), at::kFloat));
  if (!options.pools.has_value()) {
    choose(config, bank.k, logits, options, decision);
    return decision;
  }
  // The balance loss is about all modules, so that one outside of every pool is still pulled back in.
  const at::Tensor probs = at::softmax(logits, 1);
  const at::Tensor outside = pool_mask(probs, bank.k, *options.pools, options.generator).logical_not();
  choose(config, bank.k, logits.masked_fill(outside, -std::numeric_limits<double>::infinity()), options, decision);
  decision.probs = probs;
  return decision;
}

}  // namespace mformer
