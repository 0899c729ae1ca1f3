#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/surgery/prune_selection.h"
#include "core/workflows/hypothesis.h"
#include "core/workflows/tune.h"

namespace mformer {

struct FinetuneCommand : TrainCommand {
  /// Selector of what is trained; empty = all modules, of a domain in its version its own, or with `choice` everything
  /// that is kept.
  std::string modules;
  /// Choose first: the version made has only these modules, chosen by the base's statistics.
  std::optional<ModuleChoice> choice;
  TuneLoss loss;
  /// Of a version with domains, the hypothesis that is tuned: "base" or a domain; empty = choose_hypothesis().
  std::string domain;

  /// Throws UsageError for what is out of its range, does not go together, or can't be read.
  void validate() const;
};

/// How few modules a task's routing is concentrated on: ninety_percent_share(), of the modules that the version has.
struct TaskConcentration {
  std::string task;
  double before = 0, after = 0;
};

struct FinetuneReport : TrainReport {
  HypothesisChoice hypothesis;
  bool in_place = false;  ///< A domain's own modules were trained, in a version that has all else as it was.
  std::optional<ModuleSelection> kept;  ///< With `choice`: old positions, the new one is the place in the list.
  ModelSize size_before, size_after;
  std::vector<TaskConcentration> concentration;  ///< Every task known; empty after a dry run.
};

/// Trains on a task, without the balance loss. Without `choice` the selected modules and their router rows are trained,
/// trunk and what routers share stay. With it the model is first reduced to the chosen modules; then all that is left
/// is trained, trunk included (a fraction of 1 so tunes the whole model), or only what `modules` selects of it. Frozen
/// modules stay.
///
/// Of a version with domains one hypothesis is tuned. Where only modules are trained that belong to this domain alone,
/// the version made has all the others too, bit for bit; otherwise it is this hypothesis alone, since the others share
/// what is trained. Throws Error if the selector names no module that is kept.
FinetuneReport finetune(Session& session, const LoadedVersion& base, const FinetuneCommand& command);

}  // namespace mformer
