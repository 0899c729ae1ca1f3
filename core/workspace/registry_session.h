#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "modules_registry/registry.h"

namespace mformer {

/// How a workflow tells its caller what goes on, and asks whether to stop. All members may be empty.
struct Watcher {
  /// `stage`: "train", "evaluate german", …; done of total in tokens or windows; loss and rate NaN where unknown.
  std::function<void(const std::string& stage, std::int64_t done, std::int64_t total, double loss, double rate)>
      progress;
  std::function<void(const std::string&)> message;
  /// What is still to come, in order, by the names under which it will report progress; what is then begun without
  /// those before it was needless. A stage that is not among them is a part of the one that goes on. Said again, it
  /// replaces what was left of it.
  std::function<void(const std::vector<std::string>& coming)> plan;
  std::function<bool()> should_stop;

  void say(const std::string& text) const {
    if (message) message(text);
  }
  /// Progress of a stage that has no loss and no rate.
  void tell(const std::string& stage, std::int64_t done, std::int64_t total) const {
    constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
    if (progress) progress(stage, done, total, kUnknown, kUnknown);
  }
  bool stops() const { return should_stop && should_stop(); }
};

/// What a workflow works with that changes no weights: a registry, who called, and how to report. Of this file, of what
/// opens tasks (task_data.h) and of the workflows that take no more (names.h, tasks.h, undo.h, undo_names.h) nothing
/// knows tensors, so they start at once.
struct RegistrySession {
  Registry& registry;
  std::string command;                ///< As the user typed it: "extend".
  std::string arguments_json = "{}";  ///< Everything that decides the result; names the run folder.
  std::uint64_t seed = 0;
  std::string code_version;
  Watcher watcher;
  TypedCommand typed{};  ///< Shown by the log; decides nothing.
  int threads = 0;       ///< That may turn text into tokens; 0 = one per core.
  /// Gives the folder in which tokens are looked for and kept; empty = the workspace's own, cache/.
  std::function<std::filesystem::path()> token_folder = {};
};

/// Runs `work` as an operation of the registry: whatever it throws is written down as failed (StoppedError: as
/// interrupted) and goes on. `work` gets the operation's id and ends the operation itself, by a commit; if it does not,
/// it is ended as done.
void run_operation(const RegistrySession& session, const std::string& model, const std::vector<OperationData>& data,
                   const std::function<void(std::int64_t operation)>& work);

/// For commands that would move a model while the workspace looks at `seen`, and were not told which: throws Error.
[[noreturn]] void refuse_while_looking(const VersionRecord& seen);

}  // namespace mformer
