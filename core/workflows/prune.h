#pragma once

#include <string>
#include <vector>

#include "core/workflows/train.h"
#include "core/workspace/session.h"

namespace mformer {

/// What a module's worth for a task is taken to be, on tokens of the task's training split.
enum class Criterion {
  frequency,  ///< Share of its bank's top-k slots.
  gate_mass,  ///< Mean gate over all tokens.
  reap,       ///< Mean over its tokens of gate · ‖output‖ (after REAP, arXiv 2510.13999).
  norm,       ///< ‖in‖ · ‖out‖ (Frobenius), no data needed.
  random      ///< By the seed: the control.
};
const std::vector<std::string>& criterion_names();
/// Throws UsageError with the nearest names.
Criterion criterion_from_string(const std::string& text);

enum class PruneScope {
  layer,  ///< The fraction is kept in each (layer, kind).
  global  ///< The fraction is kept of each kind over all layers, and at least k in each layer.
};

struct PruneCommand : TrainCommand {
  double keep =
      0.5;  ///< Fraction of the modules of each kind, 0 < keep ≤ 1, rounded up, never fewer than k in a layer.
  Criterion criterion = Criterion::gate_mass;
  PruneScope scope = PruneScope::layer;
  std::int64_t stat_tokens = 65536;  ///< Training tokens that the statistics are taken from; 0 = all.
  std::int64_t heal_steps = 0;       ///< Steps of training only the routers of what is left, on the task.
};

struct PruneReport {
  std::optional<VersionRecord> version;  ///< Absent after a dry run.
  bool kept_beside = false;
  ModuleSelection kept;  ///< Old positions; the new position is the place in the list.
  ModelSize size_before, size_after;
  std::int64_t stored_before = 0, stored_after = 0;  ///< Bytes on disk; after = expected, in a dry run.
  std::vector<TaskChange> tasks;                     ///< The task itself; after a real run every known task.
  double seconds_before = 0, seconds_after = 0;      ///< Of the evaluation of the task.
  std::string run_folder;
};

/// Keeps the modules that the task uses and removes the others. A dry run evaluates the mask and writes nothing.
PruneReport prune(Session& session, const LoadedVersion& base, const PruneCommand& command);

/// The selection behind it: `score` by (layer, kind, position).
using ModuleScore = std::function<double(std::int64_t layer, Kind kind, std::int64_t position)>;
ModuleSelection keep_best(const Model& model, double keep, PruneScope scope, const ModuleScore& score);

/// Scores of all modules of `model` by a criterion; `stats` as from collect_routing (unused by norm and random).
ModuleScore score_by(Criterion criterion, const Model& model, const std::vector<RoutingStat>& stats,
                     std::uint64_t seed);

}  // namespace mformer
