#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/workflows/prune_selection.h"
#include "core/workflows/tune.h"

namespace mformer {

struct FinetuneCommand : TrainCommand {
  std::string modules;  ///< Selector of what is trained; empty = all modules, or with `choice` everything that is kept.
  /// Choose first: the version made has only these modules, chosen by the base's statistics.
  std::optional<ModuleChoice> choice;
  TuneLoss loss;
  std::string domain;  ///< Of a version with domains, the hypothesis that is tuned, alone: "base" or a domain.
};

/// How few modules a task's routing is concentrated on: ninety_percent_share(), of the modules that the version has.
struct TaskConcentration {
  std::string task;
  double before = 0, after = 0;
};

struct FinetuneReport : TrainReport {
  std::optional<ModuleSelection> kept;  ///< With `choice`: old positions, the new one is the place in the list.
  ModelSize size_before, size_after;
  std::vector<TaskConcentration> concentration;  ///< Every task known; empty after a dry run.
};

/// Trains on a task, without the balance loss. Without `choice` the selected modules and their router rows are trained,
/// trunk and what routers share stay. With it the model is first reduced to the chosen modules; then all that is left
/// is trained, trunk included (a fraction of 1 so tunes the whole model), or only what `modules` selects of it. Frozen
/// modules stay. Throws Error if the selector names no module that is kept.
FinetuneReport finetune(Session& session, const LoadedVersion& base, const FinetuneCommand& command);

}  // namespace mformer
