#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/surgery/upcycle.h"
#include "core/workflows/tune.h"

namespace mformer {

/// Turns the dense feed-forward layers of a version into modules behind routers.
struct UpcycleCommand : TaskCommand {
  std::int64_t experts = 0;  ///< Copies of each layer; one of the two is given.
  std::int64_t slices = 0;   ///< Parts of each layer.
  std::int64_t k = 0;        ///< Modules that a token chooses.
  double noise = 0;          ///< Of copies: share of the weights' spread; above 0 the function is no longer the same.
  std::optional<double> balance;  ///< Weight of the balance loss from then on; nothing = as UpcyclePlan::balance.
  std::int64_t steps = 0;         ///< Of training everything on the task.
  /// Of slices: share of the steps in which the number chosen goes from all down to k; 0 = at once.
  double lower = 0.5;
  std::int64_t stat_tokens = 16384;  ///< Of slices: training tokens by which the routers' rows are fitted, 0 = all.
  StepOptions options;               ///< Of those steps, as what follows.
  std::int64_t eval_every = 0;       ///< As TrainOptions::eval_every.
  TuneLoss loss;                     ///< Distillation, of which the teacher is the dense version; nothing else of it.

  bool copies() const { return slices == 0; }
  UpcycleForm form() const { return copies() ? UpcycleForm::copies : UpcycleForm::slices; }
  std::int64_t modules() const { return copies() ? experts : slices; }
  UpcyclePlan plan() const;
  /// Whether the task is looked at before any training: fewer than all slices are chosen, so that routers must know
  /// which.
  bool fits_routers() const { return !copies() && k < slices; }
  /// Throws UsageError naming the option for values out of range or that mean nothing together.
  void validate() const;
};

/// Held-out loss on the command's own task, and the time that it took.
struct UpcycleMeasure {
  double loss = 0;     ///< Nats per token.
  double seconds = 0;  ///< Of the evaluation.
  std::int64_t tokens = 0;
};

struct UpcycleReport {
  std::optional<VersionRecord> version;  ///< Absent after a dry run.
  bool kept_beside = false;
  std::int64_t layers = 0, new_modules = 0;
  std::int64_t source_modules = 0;  ///< What the layers were made of before.
  ModelSize size_before, size_after;
  std::int64_t active_before = 0, active_after = 0;  ///< Weights that one token meets.
  /// Largest difference between logits of the dense version and of its modules before anything told them apart, and the
  /// largest of the dense version's: float32 sums in another order.
  double difference = 0, largest_logit = 0;
  std::string family;  ///< Of checkpoints that hold such a model; empty = none but mformer's own layout.
  /// On the command's task: the dense version, the modules just after the exact step, told apart (noise, or fewer
  /// slices) before any training, and the version that is made.
  std::optional<UpcycleMeasure> dense, exact, apart, after;
  std::vector<TaskChange> tasks;        ///< Every known task.
  std::optional<TrainResult> training;  ///< Of the steps.
  TrainableCount trainable;
  std::optional<MemoryPlan> memory;
  std::int64_t added_bytes = 0;
  std::string run_folder;
  std::string cut_off;  ///< What kept the rest of the report from being measured; see after_commit().
};

/// Makes the version. Throws Error or UsageError where the model can't be upcycled so (require_upcyclable()), and where
/// there is no task that the command needs.
UpcycleReport upcycle(Session& session, const LoadedVersion& base, const UpcycleCommand& command);

/// How many slices are chosen in step `step`, from 0, of `steps`: from `all` down to `k` over a share `lower` of them.
std::int64_t slices_at(std::int64_t step, std::int64_t steps, double lower, std::int64_t all, std::int64_t k);

}  // namespace mformer
