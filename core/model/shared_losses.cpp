// Losses about routers whose tokens several processes share. Each is a function of sums over tokens, and these are
// added up over processes first: all sums of all routers in one exchange.

#include "core/model/shared_losses.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <map>

namespace mformer {
namespace {

std::vector<const RouterDecision*> routers_of(const std::vector<BlockTrace>& routing) {
  std::vector<const RouterDecision*> all;
  for (const BlockTrace& block : routing) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      const RouterDecision& decision = block.bank(kind).decision;
      if (decision.logits.defined()) all.push_back(&decision);
    }
  }
  return all;
}

/// [n] the same sums over all processes: their values everywhere, and the gradient of the own part.
at::Tensor summed(const at::Tensor& own, ProcessGroup& group) {
  const at::Tensor sum = own.detach().to(at::kCPU, /*non_blocking=*/false, /*copy=*/true).contiguous();
  group.all_reduce_sum(sum);
  return sum.to(own.device()) + (own - own.detach());  // the difference is 0 in every element
}

/// What a loss takes of each router, [n] each, in one exchange.
template <typename Sums>
std::vector<at::Tensor> sums_of(const std::vector<const RouterDecision*>& routers, const WholeBatch& whole,
                                const Sums& sums) {
  std::vector<at::Tensor> parts;
  std::vector<std::int64_t> sizes;
  for (const RouterDecision* one : routers) {
    parts.push_back(at::cat(sums(*one)));
    sizes.push_back(parts.back().numel());
  }
  return summed(at::cat(parts), *whole.group).split_with_sizes(sizes);
}

at::Tensor mass_of(const RouterDecision& decision) {
  return decision.probs.sum(0);
}

/// [1] Σ over tokens of their entropies.
at::Tensor entropy_of(const RouterDecision& decision) {
  const at::Tensor log_probs = at::log_softmax(decision.logits.to(decision.probs.scalar_type()), -1);
  return -(decision.probs * log_probs).sum(-1).sum().reshape({1});
}

at::Tensor hits_of(const RouterDecision& decision, const at::Tensor& weight) {
  const at::Tensor& probs = decision.probs;
  return at::zeros({probs.size(1)}, probs.options())
      .index_add_(0, decision.indices.flatten(), weight.to(probs.scalar_type()).flatten());
}

/// a · H(p | x) + c · H(p̄) of [mass of each module, entropies].
at::Tensor entropies(const at::Tensor& sums, double a, double c, double tokens) {
  const at::Tensor mean = sums.narrow(0, 0, sums.numel() - 1) / tokens;
  const at::Tensor marginal = -(mean * (mean + 1e-8).log()).sum();
  return a * sums[sums.numel() - 1] / tokens + c * marginal;
}

at::Tensor shared_switch_loss(const std::vector<const RouterDecision*>& routers, const WholeBatch& whole) {
  const auto all = sums_of(routers, whole, [](const RouterDecision& one) -> std::vector<at::Tensor> {
    const at::Tensor size = at::logsumexp(one.logits.to(one.probs.scalar_type()), {-1}).square().sum();
    return {mass_of(one), hits_of(one, one.gates.detach() > 0), size.reshape({1})};
  });
  at::Tensor total;
  for (const at::Tensor& sums : all) {
    const std::int64_t modules = (sums.numel() - 1) / 2;
    const at::Tensor mass = sums.narrow(0, 0, modules), hits = sums.narrow(0, modules, modules);
    const at::Tensor balance = ((mass / mass.sum().clamp_min(1e-12)) * (hits / hits.sum().clamp_min(1e-12))).sum();
    const at::Tensor one =
        static_cast<double>(modules) * balance + 0.1 * sums[2 * modules] / static_cast<double>(whole.tokens);
    total = total.defined() ? total + one : one;
  }
  return total;
}

at::Tensor shared_joint_loss(const std::vector<const RouterDecision*>& routers, const WholeBatch& whole) {
  const auto all = sums_of(routers, whole, [](const RouterDecision& one) -> std::vector<at::Tensor> {
    return {hits_of(one, at::zeros_like(one.indices).fill_(1)), mass_of(one)};
  });
  std::map<std::int64_t, std::vector<at::Tensor>> by_size;
  for (const at::Tensor& sums : all) by_size[sums.numel() / 2].push_back(sums / static_cast<double>(whole.tokens));
  at::Tensor total;
  for (const auto& [modules, of_routers] : by_size) {
    at::Tensor sums = of_routers.front();
    for (std::size_t i = 1; i < of_routers.size(); ++i) sums = sums + of_routers[i];
    const auto count = static_cast<double>(of_routers.size());
    const at::Tensor product = (sums.narrow(0, 0, modules) * sums.narrow(0, modules, modules)).sum();
    const at::Tensor one = product * (static_cast<double>(modules) / (count * static_cast<double>(routers.size())));
    total = total.defined() ? total + one : one;
  }
  return total;
}

}  // namespace

at::Tensor shared_concentration_loss(const std::vector<BlockTrace>& routing, double sharpness, double concentration,
                                     const WholeBatch& whole) {
  const std::vector<const RouterDecision*> routers = routers_of(routing);
  if (routers.empty()) return at::zeros({});
  const auto all = sums_of(routers, whole, [](const RouterDecision& one) -> std::vector<at::Tensor> {
    return {mass_of(one), entropy_of(one)};
  });
  at::Tensor total;
  for (const at::Tensor& sums : all) {
    const at::Tensor one = entropies(sums, sharpness, concentration, static_cast<double>(whole.tokens));
    total = total.defined() ? total + one : one;
  }
  return total;
}

at::Tensor balance_loss(const ModelConfig& config, const std::vector<BlockTrace>& routing, const WholeBatch& whole) {
  if (whole.group == nullptr) return balance_loss(config, routing, at::Tensor());
  const std::vector<const RouterDecision*> routers = routers_of(routing);
  if (routers.empty()) return at::zeros({});
  if (config.aux_loss_type == BalanceLoss::joint) return shared_joint_loss(routers, whole);
  if (config.aux_loss_type == BalanceLoss::mi) return shared_concentration_loss(routing, 1.0, -1.0, whole);
  return shared_switch_loss(routers, whole);
}

}  // namespace mformer
