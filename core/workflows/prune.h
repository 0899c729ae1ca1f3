#pragma once

#include <string>
#include <vector>

#include "core/surgery/prune_selection.h"
#include "core/workflows/hypothesis.h"
#include "core/workflows/tune.h"

namespace mformer {

struct PruneCommand : TaskCommand, ModuleChoice {
  /// Of a version with domains, the hypothesis that is pruned, alone: "base" or a domain; empty = choose_hypothesis().
  std::string domain;
  std::int64_t heal_steps = 0;  ///< Steps of training only the routers of what is left, on the task.
  std::int64_t tune_steps = 0;  ///< Steps of training all that is left; one of the two at most.
  StepOptions options;          ///< Of those steps, as what follows.
  ValidationOptions validation;
  TuneLoss loss;  ///< Load concentration is no part of it.

  /// Throws UsageError for what is out of its range or does not go together.
  void validate() const;
};

struct PruneReport {
  std::optional<VersionRecord> version;  ///< Absent after a dry run.
  bool kept_beside = false;
  HypothesisChoice hypothesis;
  ModuleSelection kept;  ///< Old positions; the new position is the place in the list.
  ModelSize size_before, size_after;
  std::int64_t stored_before = 0, stored_after = 0;  ///< Bytes on disk; after = expected, in a dry run.
  std::vector<TaskChange> tasks;                     ///< The task itself; after a real run every known task.
  double seconds_before = 0, seconds_after = 0;      ///< Of the evaluation of the task.
  std::optional<TrainResult> training;               ///< Of healing or tuning.
  TrainableCount trainable;                          ///< What that trained.
  std::optional<MemoryPlan> memory;                  ///< What it holds on the session's device.
  std::string run_folder;
  std::string cut_off;  ///< What kept the rest of the report from being measured; see after_commit().
};

/// Keeps the modules that the task uses and removes the others, and then may train what is left: choosing first and
/// tuning after loses far less than tuning all and pruning after (docs/training.md). A dry run evaluates the mask and
/// writes nothing.
PruneReport prune(Session& session, const LoadedVersion& base, const PruneCommand& command);

}  // namespace mformer
