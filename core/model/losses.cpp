#include "core/model/losses.h"

#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <map>

#include "core/model/shared_losses.h"
#include "kernels/linear_cross_entropy.h"

namespace mformer {
namespace {

/// H(p | x): mean over tokens of the entropy of each router distribution.
at::Tensor conditional_entropy(const RouterDecision& decision) {
  const at::Tensor log_probs = at::log_softmax(decision.logits.to(decision.probs.scalar_type()), -1);
  // Row by row, then few numbers: a sum of everything would be split among threads, and its bits depend on their
  // number.
  return -(decision.probs * log_probs).sum(-1).sum() / decision.probs.size(0);
}

/// H(p̄), the entropy of the mean distribution.
at::Tensor marginal_entropy(const RouterDecision& decision) {
  const at::Tensor mean = decision.probs.mean(0);
  return -(mean * (mean + 1e-8).log()).sum();
}

template <typename Loss>
at::Tensor sum_over_routers(const std::vector<BlockTrace>& routing, const Loss& loss) {
  at::Tensor total;
  for (const BlockTrace& block : routing) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      if (!block.bank(kind).decision.logits.defined()) continue;  // no router
      const at::Tensor one = loss(block.bank(kind).decision);
      total = total.defined() ? total + one : one;
    }
  }
  return total.defined() ? total : at::zeros({});
}

/// f [modules]: hits of each module per token; p [modules]: its mean probability; both over the tokens that count.
struct BankUse {
  at::Tensor hits, probs;
};

BankUse use_of(const RouterDecision& decision, const at::Tensor& counted) {
  const at::Tensor& probs = decision.probs;
  const at::Tensor weight =
      counted.defined() ? counted.to(probs.device(), probs.scalar_type()) : at::ones({probs.size(0)}, probs.options());
  const at::Tensor chosen = at::zeros_like(probs).scatter_(1, decision.indices, 1.0);
  const at::Tensor tokens = weight.sum().clamp_min(1);
  return {weight.unsqueeze(0).mm(chosen).squeeze(0) / tokens, (probs * weight.unsqueeze(1)).sum(0) / tokens};
}

}  // namespace

at::Tensor joint_loss(const std::vector<BlockTrace>& routing, const at::Tensor& counted) {
  std::map<std::int64_t, std::vector<BankUse>> by_size;
  std::int64_t routers = 0;
  for (const BlockTrace& block : routing) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      const RouterDecision& decision = block.bank(kind).decision;
      if (!decision.logits.defined()) continue;
      by_size[decision.probs.size(1)].push_back(use_of(decision, counted));
      ++routers;
    }
  }
  at::Tensor total = at::zeros({});
  for (const auto& [modules, uses] : by_size) {
    at::Tensor hits = uses.front().hits, probs = uses.front().probs;
    for (std::size_t i = 1; i < uses.size(); ++i) hits = hits + uses[i].hits, probs = probs + uses[i].probs;
    const auto count = static_cast<double>(uses.size());
    const at::Tensor one = static_cast<double>(modules) * (hits * probs).sum() / (count * count);
    total = total.to(one.options()) + one * (count / static_cast<double>(routers));
  }
  return total;
}

at::Tensor mutual_information_loss(const RouterDecision& decision) {
  return conditional_entropy(decision) - marginal_entropy(decision);
}

at::Tensor switch_loss(const RouterDecision& decision) {
  const at::Tensor& probs = decision.probs;
  const auto modules = probs.size(1);
  const at::Tensor mass = probs.sum(0);
  const at::Tensor hits =
      at::zeros({modules}, probs.options())
          .index_add_(0, decision.indices.flatten(), (decision.gates.detach() > 0).to(probs.scalar_type()).flatten());
  const at::Tensor balance = ((mass / mass.sum().clamp_min(1e-12)) * (hits / hits.sum().clamp_min(1e-12))).sum();
  const at::Tensor size = at::logsumexp(decision.logits.to(probs.scalar_type()), {-1}).square().mean();
  return static_cast<double>(modules) * balance + 0.1 * size;
}

at::Tensor balance_loss(const ModelConfig& config, const RouterDecision& decision) {
  if (config.aux_loss_type == BalanceLoss::joint) {
    BlockTrace one;
    one.mlp.decision = decision;
    return joint_loss({one}, {});
  }
  return config.aux_loss_type == BalanceLoss::mi ? mutual_information_loss(decision) : switch_loss(decision);
}

at::Tensor balance_loss(const ModelConfig& config, const std::vector<BlockTrace>& routing, const at::Tensor& counted) {
  if (config.aux_loss_type == BalanceLoss::joint) return joint_loss(routing, counted);
  return sum_over_routers(routing, [&](const RouterDecision& decision) { return balance_loss(config, decision); });
}

at::Tensor concentration_loss(const std::vector<BlockTrace>& routing, double sharpness, double concentration,
                              const WholeBatch& whole) {
  if (whole.group != nullptr) return shared_concentration_loss(routing, sharpness, concentration, whole);
  return sum_over_routers(routing, [&](const RouterDecision& decision) {
    return sharpness * conditional_entropy(decision) + concentration * marginal_entropy(decision);
  });
}

std::int64_t counted(const at::Tensor& targets) {
  return targets.ne(kernels::kIgnoredTarget).sum().item<std::int64_t>();
}

namespace {

at::Tensor sum_over(const at::Tensor& logits, const at::Tensor& targets, std::int64_t divisor) {
  const at::Tensor sum = at::cross_entropy_loss(logits.reshape({-1, logits.size(-1)}), targets.reshape({-1}), {},
                                                at::Reduction::Sum, kernels::kIgnoredTarget);
  return sum / static_cast<double>(divisor);
}

at::Tensor head_rows(const Model& model, const at::Tensor& hidden, bool bfloat16) {
  return head_input(model, hidden.reshape({-1, hidden.size(-1)}), bfloat16);
}

/// Double precision and half go through all logits at once: they are for checks.
bool is_chunked(const at::Tensor& rows) {
  return rows.scalar_type() == at::kFloat || rows.scalar_type() == at::kBFloat16;
}

}  // namespace

at::Tensor cross_entropy(const at::Tensor& logits, const at::Tensor& targets) {
  return sum_over(logits, targets, std::max<std::int64_t>(1, counted(targets)));
}

at::Tensor cross_entropy(const Model& model, const at::Tensor& hidden, const at::Tensor& targets, bool bfloat16,
                         std::int64_t divisor) {
  const at::Tensor rows = head_rows(model, hidden, bfloat16);
  const at::Tensor wanted = targets.flatten().to(hidden.device());
  if (!is_chunked(rows)) return sum_over(logits_of(model, hidden), wanted, divisor);
  return kernels::linear_cross_entropy(rows, head_for(model, rows), wanted, divisor);
}

at::Tensor token_losses(const Model& model, const at::Tensor& hidden, const at::Tensor& targets, bool bfloat16) {
  const at::Tensor rows = head_rows(model, hidden, bfloat16);
  const at::Tensor wanted = targets.flatten().to(hidden.device());
  if (is_chunked(rows)) return kernels::linear_cross_entropy_losses(rows, head_for(model, rows), wanted);
  return at::cross_entropy_loss(logits_of(model, hidden.reshape({-1, hidden.size(-1)})), wanted, {},
                                at::Reduction::None, -100);
}

at::Tensor next_token_loss(const at::Tensor& logits, const at::Tensor& input_ids) {
  const std::int64_t tokens = input_ids.size(1);
  return cross_entropy(logits.narrow(1, 0, tokens - 1), input_ids.narrow(1, 1, tokens - 1).to(logits.device()));
}

}  // namespace mformer
