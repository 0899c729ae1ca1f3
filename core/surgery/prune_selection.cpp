#include "core/surgery/prune_selection.h"

#include <ATen/ops/linalg_vector_norm.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <tuple>

#include "core/checkpoint/quantize.h"
#include "core/workspace/routing_stats.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

using ModulePlace = std::tuple<std::int64_t, Kind, std::int64_t>;

/// One module among those that compete for being kept.
struct Ranked {
  double score;
  std::int64_t layer, position;
};

/// Best first; of equal ones the earlier place, so that the result never depends on the sort.
bool better(const Ranked& a, const Ranked& b) {
  return std::tie(b.score, a.layer, a.position) < std::tie(a.score, b.layer, b.position);
}

std::int64_t rounded_up(double keep, std::size_t modules) {
  // A hair less than the product, so that 0.3 of 10 is 3 although 0.3 is a little more than three tenths.
  return std::max<std::int64_t>(1, std::llround(std::ceil(keep * static_cast<double>(modules) - 1e-9)));
}

std::vector<Ranked> ranked_bank(const ModuleBank& bank, std::int64_t layer, const ModuleScore& score) {
  std::vector<Ranked> all;
  for (std::size_t i = 0; i < bank.modules.size(); ++i) {
    const auto position = static_cast<std::int64_t>(i);
    all.push_back({score(layer, bank.kind, position), layer, position});
  }
  std::sort(all.begin(), all.end(), better);
  return all;
}

std::int64_t wanted_of(const ModuleBank& bank, double keep) {
  return bank.modules.empty() ? 0 : std::max(bank.least(), rounded_up(keep, bank.modules.size()));
}

/// How many modules each layer keeps: its own share, or as many in all of them, the most that a layer would keep of its
/// own, but no more than the smallest has. Layers with a router and layers without go apart.
std::int64_t equal_count_of(const Model& model, double keep, Kind kind, bool routed) {
  std::int64_t most = 0, smallest = std::numeric_limits<std::int64_t>::max();
  for (const Block& block : model.blocks) {
    const ModuleBank& bank = block.bank(kind);
    if (bank.routed != routed) continue;
    most = std::max(most, wanted_of(bank, keep));
    smallest = std::min(smallest, bank.size());
  }
  return std::min(most, smallest);
}

void keep_per_layer(const Model& model, const ModuleChoice& choice, Kind kind, const ModuleScore& score,
                    ModuleSelection& kept) {
  for (std::size_t l = 0; l < model.blocks.size(); ++l) {
    const ModuleBank& bank = model.blocks[l].bank(kind);
    if (bank.modules.empty()) continue;
    const auto ranked = ranked_bank(bank, static_cast<std::int64_t>(l), score);
    const std::int64_t wanted =
        choice.equal ? equal_count_of(model, choice.keep, kind, bank.routed) : wanted_of(bank, choice.keep);
    for (std::int64_t i = 0; i < wanted; ++i) kept.of(kind)[l].push_back(ranked[i].position);
  }
}

/// Of the banks with a router, or of those without: their scores are not of one measure.
void keep_globally(const Model& model, double keep, Kind kind, bool routed, const ModuleScore& score,
                   ModuleSelection& kept) {
  std::vector<Ranked> rest;
  std::size_t modules = 0, taken = 0;
  for (std::size_t l = 0; l < model.blocks.size(); ++l) {
    const ModuleBank& bank = model.blocks[l].bank(kind);
    if (bank.routed != routed) continue;
    const auto ranked = ranked_bank(bank, static_cast<std::int64_t>(l), score);
    modules += ranked.size();
    for (std::int64_t i = 0; i < bank.least(); ++i, ++taken) kept.of(kind)[l].push_back(ranked[i].position);
    rest.insert(rest.end(), ranked.begin() + bank.least(), ranked.end());
  }
  if (modules == 0) return;
  std::sort(rest.begin(), rest.end(), better);
  const auto wanted = static_cast<std::size_t>(rounded_up(keep, modules));
  for (std::size_t i = 0; taken < wanted; ++i, ++taken) kept.of(kind)[rest[i].layer].push_back(rest[i].position);
}

double frobenius(const at::Tensor& x) {
  return at::linalg_vector_norm(x.to(at::kFloat)).item<double>();
}

ModuleScore random_score(const Model& model, std::uint64_t seed) {
  std::seed_seq words{seed, seed >> 32U};
  std::mt19937_64 random(words);
  std::map<ModulePlace, double> scores;
  for (std::size_t l = 0; l < model.blocks.size(); ++l) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      for (std::size_t i = 0; i < model.blocks[l].bank(kind).modules.size(); ++i) {
        scores[{static_cast<std::int64_t>(l), kind, static_cast<std::int64_t>(i)}] =
            static_cast<double>(random() >> 11U);
      }
    }
  }
  return [scores](std::int64_t layer, Kind kind, std::int64_t position) { return scores.at({layer, kind, position}); };
}

ModuleScore statistic_score(Criterion criterion, const Model& model, const std::vector<RoutingStat>& stats) {
  std::map<std::string, const RoutingStat*> by_uid;
  for (const RoutingStat& stat : stats) by_uid[stat.module_uid] = &stat;
  const auto score_of = [&](const Module& module, bool routed) {
    const auto found = by_uid.find(module.uid);
    if (found == by_uid.end()) return 0.0;
    const RoutingStat& stat = *found->second;
    const auto slots = static_cast<double>(stat.slots);
    // Where every token takes every module with gate 1, only what they put out tells them apart.
    if (routed && criterion == Criterion::frequency) return slots;
    if (routed && criterion == Criterion::gate_mass) return stat.gate_mass;
    return slots > 0 ? stat.weighted_output_norm / slots : 0.0;
  };
  std::map<ModulePlace, double> scores;
  for (std::size_t l = 0; l < model.blocks.size(); ++l) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      const ModuleBank& bank = model.blocks[l].bank(kind);
      for (std::int64_t i = 0; i < bank.size(); ++i) {
        scores[{static_cast<std::int64_t>(l), kind, i}] = score_of(bank.modules[i], bank.routed);
      }
    }
  }
  return [scores](std::int64_t layer, Kind kind, std::int64_t position) { return scores.at({layer, kind, position}); };
}

}  // namespace

ModuleSelection choose_modules(const Session& session, const Model& model, const TaskData& task,
                               const ModuleChoice& choice) {
  std::vector<RoutingStat> stats;
  if (needs_statistics(choice.criterion)) {
    stats = collect_routing(session, model, task, Split::train, choice.stat_tokens);
  }
  return keep_best(model, choice, score_by(choice.criterion, model, stats, session.seed));
}

ModuleSelection keep_best(const Model& model, const ModuleChoice& choice, const ModuleScore& score) {
  ModuleSelection kept;
  for (const Kind kind : {Kind::att, Kind::mlp}) {
    kept.of(kind).resize(model.blocks.size());
    if (choice.scope == PruneScope::layer) {
      keep_per_layer(model, choice, kind, score, kept);
    } else {
      for (const bool routed : {true, false}) keep_globally(model, choice.keep, kind, routed, score, kept);
    }
    for (auto& positions : kept.of(kind)) std::sort(positions.begin(), positions.end());
  }
  return kept;
}

ModuleScore score_by(Criterion criterion, const Model& model, const std::vector<RoutingStat>& stats,
                     std::uint64_t seed) {
  if (criterion == Criterion::random) return random_score(model, seed);
  if (criterion != Criterion::norm) return statistic_score(criterion, model, stats);
  return [&model](std::int64_t layer, Kind kind, std::int64_t position) {
    const Module& module = model.blocks[layer].bank(kind).modules[position];
    const std::int64_t hidden = model.config.hidden(kind, layer);
    return frobenius(dequantized(module.in, module.in_scale, model.config.n_embd, at::kFloat)) *
           frobenius(dequantized(module.out, module.out_scale, hidden, at::kFloat));
  };
}

}  // namespace mformer
