#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/text/token_cache.h"
#include "core/workspace/registry_session.h"

namespace mformer {

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
std::filesystem::path token_folder_of(const RegistrySession& session);

/// Where data lies that was named on the command line, absolute and without dots. Where ".." follows a link, only the
/// file system knows what it means.
std::string absolute_path(const std::string& data);

/// Finds a task's data. With `data`, the folder is task `name`, by default named after the folder; without, `name` must
/// be known. `fields` are those of its records (RecordFields::parse()), "" = as recorded, or the known names. Its text
/// lies where it was recorded; where nothing is there any more, its tokens from the cache will do, and a message says
/// so. Writes nothing to the registry: record_task() does. Throws UsageError for an unknown task, a folder whose name
/// can't be a task's, neither name nor data, or fields without data that are not the recorded ones; Error when text and
/// tokens are gone or, unless `replace`, the data is another than what is recorded under this name.
TaskData open_task(RegistrySession& session, const Tokenizer& tokenizer, const std::string& name,
                   const std::string& data, bool replace = false, const std::string& fields = "");

/// What was left out of a task that is new to the registry, as a message.
void say_what_was_left_out(const RegistrySession& session, const TaskData& task);

/// Puts the task into the registry, as first read by `operation`; a task known with the same content stays as it is,
/// but for its path where nothing is there any more.
void record_task(RegistrySession& session, TaskData& task, std::int64_t operation);

/// All tasks of the registry whose text or tokens are at hand; the others are named in a message and left out.
std::vector<TaskData> readable_tasks(RegistrySession& session, const Tokenizer& tokenizer);

}  // namespace mformer
