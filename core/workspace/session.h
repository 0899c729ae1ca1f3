#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/training/evaluate.h"
#include "core/training/trainer.h"
#include "core/workspace/task_data.h"
#include "core/workspace/version_store.h"

namespace mformer {

/// What every workflow with models works with.
struct Session : RegistrySession {
  /// Where models are run and trained (core/device/device.h). What is loaded and stored stays on the CPU.
  at::Device device = at::kCPU;
  /// The processes that train and measure together; null = this one alone.
  ProcessGroup* group = nullptr;
};

/// Throws ProcessError on every process where one has other data under the task's name.
void require_same_data(const Session& session, const TaskData& task);

/// Under which name a loss is measured: "evaluate qa"; "validate qa" of validation text, as it is a part of training.
std::string stage_of(const std::string& task, Split split);

/// For what runs a model over windows: at most `max_tokens` of input (0 = all), progress told as `stage`, stopped when
/// the session's watcher says so. Borrows the session.
EvaluateOptions evaluate_options(const Session& session, const std::string& stage, std::int64_t max_tokens);

/// Says that a --context is longer than the model's own, if it is, and what follows from that.
void say_if_longer(const Session& session, std::int64_t context, const ModelConfig& config, const std::string& then);

/// Loss on a task's split, computed on the session's device, to which the model is copied if it lies elsewhere; nothing
/// if the split has no target: no document, or prompts alone. At most `max_tokens` (0 = all), evenly spread.
/// `stage`: the name of its progress; empty = stage_of().
std::optional<Evaluation> evaluate_task(const Session& session, const Model& model, const TaskData& task, Split split,
                                        std::int64_t max_tokens, std::int64_t context = 0,
                                        PosteriorMode mode = PosteriorMode::strict, const std::string& stage = "");

/// What the registry keeps of how something was measured on a task.
Measured measured_on(Split split, std::int64_t max_tokens, std::int64_t operation = 0);

/// evaluate_task on the held-out split, kept in the registry as (version, task, "held_out", "loss", max_tokens), for a
/// model with domains also "documents", "observed", and "share", "earlier" and "bound", one part for each hypothesis
/// and earlier stage, of its PosteriorSummary, and taken from there when it is known, on whatever device it was
/// computed. `model` must be that version's.
std::optional<Evaluation> scored(Session& session, const std::string& version, const Model& model, const TaskData& task,
                                 std::int64_t max_tokens, std::int64_t operation = 0);

/// Keeps what evaluate_task() gave for the held-out split of the task of that name, as scored() does; nothing where the
/// loss is not finite or the task's name is gone.
void keep_score(Session& session, const std::string& version, const std::string& task,
                const std::optional<Evaluation>& result, std::int64_t max_tokens, std::int64_t operation = 0);

/// What scored() kept; nothing where it kept nothing, or of a model with domains only a loss without its bounds, as
/// programs did in which hypotheses rested.
std::optional<Evaluation> known_score(const Registry& registry, const std::string& version, const std::string& task,
                                      std::int64_t max_tokens);

/// Hooks that hand the trainer's reports to the session's watcher.
TrainHooks hooks_for(const Session& session, const std::string& stage, const TrainOptions& options,
                     std::function<double()> validate = {});

}  // namespace mformer
