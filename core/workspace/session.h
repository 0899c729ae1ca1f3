#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/text/token_cache.h"
#include "core/training/evaluate.h"
#include "core/training/trainer.h"
#include "core/workspace/registry_session.h"
#include "core/workspace/version_store.h"

namespace mformer {

/// What every workflow with models works with.
struct Session : RegistrySession {
  /// Where models are run and trained (core/device/device.h). What is loaded and stored stays on the CPU.
  at::Device device = at::kCPU;
  /// Gives the folder in which tokens are looked for and kept; empty = the workspace's own, cache/.
  std::function<std::filesystem::path()> token_folder = {};
};

/// A task and its tokens.
struct TaskData {
  TaskRecord record;
  TokenCache tokens;
  std::string given_path{};  ///< Where the command found the data, absolute; empty if it named the task alone.
};

/// The name that a command's task has or will have: `task`, or, where that is empty, the name of the data. Throws
/// UsageError as open_task().
std::string name_of_task(const std::string& task, const std::string& data);

/// The folder of the session's tokens.
std::filesystem::path token_folder_of(const Session& session);

/// Where data lies that was named on the command line, absolute and without dots. Where ".." follows a link, only the
/// file system knows what it means.
std::string absolute_path(const std::string& data);

/// Finds a task's data. With `data`, the folder is task `name`, by default named after the folder; without, `name` must
/// be known. `fields` are those of its records (RecordFields::parse()), "" = as recorded, or the known names. Its text
/// lies where it was recorded; where nothing is there any more, its tokens from the cache will do, and a message says
/// so. Writes nothing to the registry: record_task() does. Throws UsageError for an unknown task, a folder whose name
/// can't be a task's, neither name nor data, or fields without data that are not the recorded ones; Error when text and
/// tokens are gone or, unless `replace`, the data is another than what is recorded under this name.
TaskData open_task(Session& session, const Tokenizer& tokenizer, const std::string& name, const std::string& data,
                   bool replace = false, const std::string& fields = "");

/// What was left out of a task that is new to the registry, as a message.
void say_what_was_left_out(const Session& session, const TaskData& task);

/// Puts the task into the registry, as first read by `operation`; a task known with the same content stays as it is,
/// but for its path where nothing is there any more.
void record_task(Session& session, TaskData& task, std::int64_t operation);

/// Under which name a loss is measured: "evaluate qa"; "validate qa" of validation text, as it is a part of training.
std::string stage_of(const std::string& task, Split split);

/// Loss on a task's split, computed on the session's device, to which the model is copied if it lies elsewhere; nothing
/// if the split has no target: no document, or prompts alone. At most `max_tokens` (0 = all), evenly spread.
/// `stage`: the name of its progress; empty = stage_of().
std::optional<Evaluation> evaluate_task(const Session& session, const Model& model, const TaskData& task, Split split,
                                        std::int64_t max_tokens, std::int64_t context = 0,
                                        PosteriorMode mode = PosteriorMode::strict, const std::string& stage = "");

/// evaluate_task on the held-out split, kept in the registry as (version, task, "held_out", "loss@max_tokens"), for a
/// model with domains also "documents@…", "observed@…", "share.H@…", "earlier.K@…" and "bound.K@…" of its
/// PosteriorSummary, and taken from there when it is known, on whatever device it was computed. `model` must be that
/// version's.
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

/// All tasks of the registry whose text or tokens are at hand; the others are named in a message and left out.
std::vector<TaskData> readable_tasks(Session& session, const Tokenizer& tokenizer);

/// Hooks that hand the trainer's reports to the session's watcher.
TrainHooks hooks_for(const Session& session, const std::string& stage, const TrainOptions& options,
                     std::function<double()> validate = {});

}  // namespace mformer
