#pragma once

#include <string>
#include <vector>

#include "core/training/memory_plan.h"
#include "core/workspace/selector.h"
#include "core/workspace/session.h"

namespace mformer {

/// Everything that a command on one data set takes which makes a version.
struct TaskCommand {
  std::string task;  ///< Known task, or the name that `data` gets.
  std::string data;  ///< Folder or file; empty = the task's recorded one.
  std::string
      fields;  ///< Of the data's records, as RecordFields::parse() takes them; empty = as recorded, or the known names.
  std::string into;  ///< Model that gets the version; empty = the base's own.
  bool restart = false;
  bool dry_run = false;
  std::int64_t eval_tokens = 65536;  ///< Held-out tokens per task for the losses that are reported; 0 = all.
};

/// And one which trains on it.
struct TrainCommand : TaskCommand {
  TrainOptions options;
};

/// Loss of one task before and after a command.
struct TaskChange {
  std::string task;
  std::optional<double> before, after;  ///< Held-out, nats per token.
  std::int64_t tokens = 0;              ///< Targets that counted; 0 where nothing could be measured.
  /// The most by which new domains can have raised the loss, nats per token (EarlierMixture); only where there are
  /// some.
  std::optional<double> bound = {};
};

struct TrainReport {
  std::optional<VersionRecord> version;  ///< Absent after a dry run.
  bool kept_beside = false;
  TrainResult training;
  TrainableCount trainable;
  std::int64_t optimizer_bytes = 0;
  MemoryPlan memory;  ///< Of the training on the session's device.
  std::int64_t added_bytes = 0;
  std::vector<TaskChange> tasks;  ///< Every task known, this one included.
  std::string cut_off;            ///< What kept the rest of the report from being measured; see after_commit().
  std::string run_folder;
};

struct PretrainCommand : TrainCommand {
  double replay = 0;        ///< Share of training windows from earlier tasks, 0 … 1.
  std::int64_t pools = 0;   ///< Document pools (core/model/pools.h), at least 2; 0 = none.
  double pool_share = 0.5;  ///< Share of the documents that are confined to a pool.

  /// Throws UsageError for what is out of its range.
  void validate() const;
};

/// Pretrains: all parameters (frozen modules aside), with the balance loss and, if asked for, document pools. Throws
/// Error where there is to be replay and no other task can be read.
TrainReport pretrain(Session& session, const LoadedVersion& base, const PretrainCommand& command);

// ---- Shared by the workflows that train ----------------------------------------------------------------------------

/// Context of a command: the option, or the model's block size. Says so by a message where the option is beyond that:
/// nothing else in the program reads so long a text at once.
std::int64_t context_of(const Session& session, const StepOptions& options, const Model& model);

/// The windows that a training on the task sees. Throws Error, before a step is spent, where the task has no training
/// text, less than one window of it, or none with a target.
PackedWindows training_windows(const TaskData& task, std::int64_t context);

/// Held-out losses of all `tasks` under this model; kept as scores when `version` is not empty. A task that can't be
/// measured is named in a message and has none.
std::vector<std::optional<Evaluation>> losses(Session& session, const std::string& version, const Model& model,
                                              const std::vector<TaskData>& tasks, std::int64_t max_tokens,
                                              std::int64_t operation = 0);

/// What losses() returns where none could be measured.
std::vector<std::optional<Evaluation>> unmeasured(const std::vector<TaskData>& tasks);

/// Throws UsageError unless 0 ≤ `replay` < 1.
void require_replay_share(double replay);

/// Training windows of all `tasks` but the one named `except`; those too short for a single window are left out.
std::vector<PackedWindows> windows_of_others(const std::vector<TaskData>& tasks, const std::string& except,
                                             std::int64_t context);

/// Shuffled windows of the task `own`. A share `replay`, 0 … 1, comes from the others of `tasks` instead, of which only
/// a share `memory` is used (memory_of()). Throws Error if there is to be replay and no other task has a window.
BatchSource task_batches(const PackedWindows& windows, const std::vector<TaskData>& tasks, const std::string& own,
                         double replay, const StepOptions& options, double memory = 1);

/// Pairs up losses() of two models. Where the later one has the earlier one's domains and more, the bound of the rise
/// comes with them, and a loss before that differs by no more than rounding on another device or by another number of
/// threads is the one that was measured beside the loss after.
std::vector<TaskChange> changes(const std::vector<TaskData>& tasks,
                                const std::vector<std::optional<Evaluation>>& before,
                                const std::vector<std::optional<Evaluation>>& after, std::size_t domains_before = 0,
                                std::size_t domains_after = 0);

/// Throws Error, before a step is spent, where validation losses are to decide and the task's validation documents have
/// no target.
void require_validation(const TaskData& task, const ValidationOptions& options, std::int64_t context);

/// Validation loss as a hook for the trainer; empty if the task's validation documents have no target.
std::function<double()> validation_of(const Session& session, const Model& model, const TaskData& task,
                                      std::int64_t context, std::int64_t max_tokens);

}  // namespace mformer
