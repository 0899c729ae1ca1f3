#include "core/surgery/new_modules.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/randn_like.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <tuple>

#include "core/workspace/parse_range.h"

namespace mformer {
namespace {

constexpr double kCopyNoise = 0.02;  // of the weights' own spread: enough for copies to part, too little to hurt

/// Router mass of the bank's modules, each as a share of the bank's; without a router, what they put out.
std::vector<double> shares_of(const std::vector<RoutingStat>& stats, int layer, const ModuleBank& bank) {
  std::vector<double> mass;
  for (const RoutingStat& stat : stats) {
    if (stat.layer != layer || stat.kind != bank.kind) continue;
    mass.push_back(bank.routed ? stat.gate_mass : stat.weighted_output_norm);
  }
  mass.resize(bank.modules.size(), 0.0);
  const double sum = std::max(1e-30, std::accumulate(mass.begin(), mass.end(), 0.0));
  for (double& one : mass) one /= sum;
  return mass;
}

std::vector<std::int64_t> most_first(const std::vector<double>& shares) {
  std::vector<std::int64_t> order(shares.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) { return shares[a] > shares[b]; });
  return order;
}

/// A module that might be copied, when the number is open.
struct Candidate {
  double taken;  ///< Share of its bank's mass that goes before it.
  int layer;
  Kind kind;
  std::int64_t position, weights;
};

/// `at_least`: how many are taken even if they do not fit.
NewModulePlan within_budget(std::vector<Candidate> candidates, std::int64_t weights, int at_least) {
  std::stable_sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
    return std::tie(a.taken, a.layer, a.kind) < std::tie(b.taken, b.layer, b.kind);
  });
  NewModulePlan plan;
  for (const Candidate& one : candidates) {
    if (one.weights > weights && at_least <= 0) break;
    --at_least;
    weights -= one.weights;
    plan[{one.layer, one.kind}].push_back(one.position);
  }
  return plan;
}

/// The same number of both kinds, as far as they are open, in every layer: as many as fit, but `at_least`.
NewModulePlan equal_within_budget(std::vector<Candidate> candidates, std::int64_t weights, std::int64_t at_least) {
  NewModulePlan banks;                        // positions, the most used first
  std::map<std::int64_t, std::int64_t> cost;  // of the nth of every bank
  for (const Candidate& one : candidates) {
    auto& positions = banks[{one.layer, one.kind}];
    cost[static_cast<std::int64_t>(positions.size())] += one.weights;
    positions.push_back(one.position);
  }
  std::int64_t number = 0, fewest = std::numeric_limits<std::int64_t>::max();
  for (const auto& [bank, positions] : banks) fewest = std::min<std::int64_t>(fewest, positions.size());
  while (!banks.empty() && number < fewest && (cost[number] <= weights || number < at_least)) weights -= cost[number++];
  for (auto& [bank, positions] : banks) positions.resize(static_cast<std::size_t>(number));
  std::erase_if(banks, [](const auto& entry) { return entry.second.empty(); });
  return banks;
}

at::Tensor with_noise(const at::Tensor& weight, at::Generator& generator) {
  const at::Tensor spread = weight.std(/*unbiased=*/false);
  return weight.clone() +
         kCopyNoise * spread * at::randn_like(weight.to(at::kFloat), generator).to(weight.scalar_type());
}

Module new_module(const ModelConfig& config, std::int64_t layer, const ModuleBank& bank, std::int64_t from,
                  NewModules start, bool replace, at::Generator& generator) {
  const Module& parent = bank.modules.at(from);
  // A module more, of which every token takes all it says, must say nothing at first.
  const bool silent = start == NewModules::unchanged || (!bank.routed && !replace);
  if (start == NewModules::random) {
    Module fresh = make_module(config, layer, bank.kind, generator);
    for (at::Tensor* tensor : {&fresh.in, &fresh.out, &fresh.row, &fresh.in_bias, &fresh.head_norm}) {
      if (tensor->defined()) *tensor = tensor->to(parent.in.scalar_type());
    }
    if (silent) fresh.out.zero_();
    return fresh;
  }
  const auto copied = [&](const at::Tensor& x) {
    return !x.defined() ? x : replace ? x.clone() : with_noise(x, generator);
  };
  Module copy;
  copy.in = copied(parent.in);
  copy.out = silent ? at::zeros_like(parent.out) : copied(parent.out);
  copy.row = copied(parent.row);
  copy.in_bias = copied(parent.in_bias);
  copy.head_norm = copied(parent.head_norm);
  return copy;
}

}  // namespace

bool is_of_new_module(const Model& model, const ParameterRef& ref) {
  return ref.part == ParameterRef::Part::module &&
         model.blocks[ref.layer].bank(ref.kind).modules[ref.module].uid.empty();
}

void remove_modules(ModuleBank& bank, std::vector<std::int64_t> positions) {
  std::sort(positions.rbegin(), positions.rend());
  for (const std::int64_t position : positions) bank.modules.erase(bank.modules.begin() + position);
}

NewModulePlan plan_new_modules(const Model& model, const NewModuleCounts& counts, const std::vector<RoutingStat>& stats,
                               std::int64_t weights) {
  const auto [first, last] = parse_range(counts.layers, model.config.n_layer, "--layers");
  NewModulePlan plan;
  std::vector<Candidate> open;
  for (int l = static_cast<int>(first); l <= last; ++l) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      const ModuleBank& bank = model.blocks[l].bank(kind);
      if (bank.modules.empty()) continue;  // nothing to copy
      const std::vector<double> shares = shares_of(stats, l, bank);
      const std::vector<std::int64_t> order = most_first(shares);
      const auto number = kind == Kind::att ? counts.heads : counts.experts;
      double taken = 0;
      for (std::size_t i = 0; number.has_value() ? static_cast<std::int64_t>(i) < *number : i < order.size(); ++i) {
        const std::int64_t position = order[i % order.size()];
        const Module& module = bank.modules[position];
        if (number.has_value()) {
          plan[{l, kind}].push_back(position);
        } else {
          open.push_back({taken, l, kind, position, weights_of(module)});
        }
        taken += shares[position];
      }
    }
  }
  for (const auto& [bank, positions] : plan) {
    for (const std::int64_t position : positions) {
      const Module& module = model.blocks[bank.first].bank(bank.second).modules[position];
      weights -= weights_of(module);
    }
  }
  plan.merge(counts.equal ? equal_within_budget(std::move(open), weights, plan.empty() ? 1 : 0)
                          : within_budget(std::move(open), weights, plan.empty() ? 1 : 0));
  return plan;
}

void add_new_modules(Model& model, const NewModulePlan& plan, NewModules start, bool replace, std::uint64_t seed) {
  at::Generator generator = at::detail::createCPUGenerator(seed ^ 0x657874656e64ULL);
  for (int l = 0; l < model.config.n_layer; ++l) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      ModuleBank& bank = model.blocks[l].bank(kind);
      if (const auto planned = plan.find({l, kind}); planned != plan.end()) {
        std::vector<Module> fresh;
        for (const std::int64_t from : planned->second) {
          fresh.push_back(new_module(model.config, l, bank, from, start, replace, generator));
        }
        if (replace) remove_modules(bank, planned->second);
        bank.modules.insert(bank.modules.end(), fresh.begin(), fresh.end());
      }
    }
  }
  count_modules(model);
}

}  // namespace mformer
