#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/surgery/criterion.h"
#include "core/workspace/session.h"

namespace mformer {

/// Which modules of a model a task keeps.
struct ModuleChoice {
  double keep =
      0.5;  ///< Fraction of the modules of each kind, 0 < keep ≤ 1, rounded up, never fewer than k in a layer.
  Criterion criterion = Criterion::gate_mass;
  PruneScope scope = PruneScope::layer;
  bool equal = false;  ///< As many of a kind in every layer, also where they start with different numbers.
  std::int64_t stat_tokens = 65536;  ///< Training tokens that the statistics are taken from; 0 = all.

  /// Throws UsageError for a fraction out of range.
  void validate() const;
};

/// The modules to keep, by statistics of this model on the task's training split.
ModuleSelection choose_modules(const Session& session, const Model& model, const TaskData& task,
                               const ModuleChoice& choice);

/// The selection behind it: `score` by (layer, kind, position).
using ModuleScore = std::function<double(std::int64_t layer, Kind kind, std::int64_t position)>;
ModuleSelection keep_best(const Model& model, const ModuleChoice& choice, const ModuleScore& score);

/// Scores of all modules of `model` by a criterion; `stats` as from collect_routing (unused by norm and random).
ModuleScore score_by(Criterion criterion, const Model& model, const std::vector<RoutingStat>& stats,
                     std::uint64_t seed);

}  // namespace mformer
