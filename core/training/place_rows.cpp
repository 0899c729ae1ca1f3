#include "core/training/place_rows.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/repeat_interleave.h>
#include <ATen/ops/softplus.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>

#include "core/training/logistic_shift.h"
#include "kernels/linear.h"

namespace mformer {
namespace {

std::int64_t count_new(const ModuleBank& bank) {
  return std::count_if(bank.modules.begin(), bank.modules.end(), [](const Module& m) { return m.uid.empty(); });
}

/// ln(P / (1 − P)) of each token, P the probability of the last `fresh` modules.
at::Tensor log_odds(const at::Tensor& logits, std::int64_t fresh) {
  const std::int64_t old = logits.size(1) - fresh;
  return at::logsumexp(logits.narrow(1, old, fresh), {1}) - at::logsumexp(logits.narrow(1, 0, old), {1});
}

/// Router inputs and log-odds of all tokens of a text, by bank, on the CPU.
struct Tokens {
  std::vector<at::Tensor> inputs, odds;
};

using Banks = std::vector<std::pair<int, Kind>>;

std::vector<Tokens> collect(const Model& model, const Banks& banks, const std::vector<Batch>& text) {
  ForwardOptions how;
  how.router_inputs = true;
  std::vector<Tokens> collected(banks.size());
  for (const Batch& batch : text) {
    const ForwardOutput output = forward(model, batch.inputs, how);
    for (std::size_t b = 0; b < banks.size(); ++b) {
      const auto [layer, kind] = banks[b];
      const RouterDecision& decision = output.routing[layer].bank(kind).decision;
      collected[b].inputs.push_back(decision.input.cpu().to(at::kFloat));
      collected[b].odds.push_back(
          log_odds(decision.logits.cpu().to(at::kFloat), count_new(model.blocks[layer].bank(kind))));
    }
  }
  return collected;
}

double mean_probability(const at::Tensor& odds) {
  return ordered_sum(odds.sigmoid()) / static_cast<double>(odds.numel());
}

}  // namespace

std::vector<PlacedBank> place_rows(Model& model, const std::vector<Batch>& old_text, const std::vector<Batch>& new_text,
                                   const PlacementOptions& options) {
  const at::NoGradGuard no_grad;
  std::vector<PlacedBank> placed;
  if (model.config.gate_type == GateType::gmm || old_text.empty() || new_text.empty()) return placed;
  Banks banks;
  for (int l = 0; l < model.config.n_layer; ++l) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      const ModuleBank& bank = model.blocks[l].bank(kind);
      if (bank.routed && count_new(bank) > 0) banks.emplace_back(l, kind);
    }
  }
  const auto old_tokens = collect(model, banks, old_text), new_tokens = collect(model, banks, new_text);
  for (std::size_t b = 0; b < banks.size(); ++b) {
    const auto [layer, kind] = banks[b];
    const LabelledTokens old_side{at::cat(old_tokens[b].inputs), at::cat(old_tokens[b].odds)};
    const LabelledTokens new_side{at::cat(new_tokens[b].inputs), at::cat(new_tokens[b].odds)};
    const at::Tensor shift = logistic_shift(old_side, new_side, options.old_weight, options.ridge);
    for (Module& module : model.blocks[layer].bank(kind).modules) {
      if (module.uid.empty()) module.row.add_(shift.to(module.row.options()));
    }
    placed.push_back({layer, kind, mean_probability(old_side.odds), mean_probability(shifted_odds(old_side, shift)),
                      mean_probability(new_side.odds), mean_probability(shifted_odds(new_side, shift))});
  }
  return placed;
}

at::Tensor placement_loss(const Model& model, const ForwardOutput& output, const Batch& batch, double old_weight) {
  const at::Tensor old = batch.replay.defined()
                             ? at::repeat_interleave(batch.replay.to(at::kFloat), batch.inputs.size(1))
                             : at::zeros({batch.inputs.numel()});
  const double olds = std::max(1.0, old.sum().item<double>());
  const double news = std::max(1.0, static_cast<double>(old.numel()) - old.sum().item<double>());
  const at::Device device = output.hidden.device();
  const at::Tensor sign = (2.0 * old - 1.0).to(device);  // +1 where the odds should be low
  const at::Tensor weight = (old * (old_weight / olds) + (1.0 - old) / news).to(device);
  at::Tensor total;
  for (std::size_t l = 0; l < model.blocks.size(); ++l) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      const std::int64_t fresh = count_new(model.blocks[l].bank(kind));
      if (fresh == 0 || !model.blocks[l].bank(kind).routed) continue;
      const at::Tensor odds = log_odds(output.routing[l].bank(kind).decision.logits.to(at::kFloat), fresh);
      // A product, not a sum: its order does not depend on the number of threads.
      const at::Tensor loss = kernels::linear(at::softplus(sign * odds), weight.unsqueeze(0)).squeeze();
      total = total.defined() ? total + loss : loss;
    }
  }
  return total.defined() ? total : at::zeros({});
}

}  // namespace mformer
