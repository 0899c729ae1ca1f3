#include "core/workflows/tasks.h"

#include <limits>

#include "modules_registry/error.h"
#include "modules_registry/shell_word.h"

namespace mformer {
namespace {

OperationData task_data_of(const std::string& role, const TaskRecord& task) {
  return {role, task.name, task.data_path, task.content_hash};
}

AddedTask::Outcome outcome_of(const Registry& registry, const TaskData& task, std::string& path_before) {
  if (!registry.has_task(task.record.name)) return AddedTask::Outcome::added;
  const TaskRecord known = registry.task(task.record.name);
  path_before = known.data_path;
  if (known.content_hash != task.tokens.summary.content_hash) return AddedTask::Outcome::replaced;
  return known.data_path == task.given_path ? AddedTask::Outcome::known : AddedTask::Outcome::moved;
}

}  // namespace

AddedTask add_task(RegistrySession& session, const Tokenizer& tokenizer, const std::string& name,
                   const std::string& data, bool replace, const std::string& fields, bool dry_run) {
  Registry& registry = session.registry;
  if (!registry.has_task(name)) require_valid_name("task", name);
  AddedTask added{open_task(session, tokenizer, name, data, replace, fields), AddedTask::Outcome::added, ""};
  TaskData& task = added.task;
  added.outcome = outcome_of(registry, task, added.path_before);
  task.record.data_path = task.given_path;
  if (dry_run) return added;
  run_operation(session, "", {task_data_of("add", task.record)}, [&](std::int64_t operation) {
    if (added.outcome == AddedTask::Outcome::moved) return registry.move_task(operation, name, task.given_path);
    if (task.record.created_operation == 0) task.record.created_operation = operation;
    registry.add_task(task.record, replace, operation);
  });
  task.record = registry.task(name);
  return added;
}

MovedTask move_task(RegistrySession& session, const std::string& name, const std::string& data, bool dry_run) {
  const TaskRecord record = session.registry.task(name);
  MovedTask moved{name, record.data_path, absolute_path(data), {}};
  const auto progress = [&](std::int64_t done, std::int64_t total) {
    session.watcher.tell("read " + name, done, total);
  };
  moved.data = summarize_corpus(moved.to, token_folder_of(session), progress, RecordFields::parse(record.fields));
  if (moved.data.content_hash != record.content_hash) {
    throw Error("the data in " + moved.to + " is not that of task '" + name + "'",
                "name the folder that has the same files, with nothing else in it; or take it as new data: mformer "
                "task add " +
                    shell_word(name) + " --data " + shell_word(moved.to) + " --replace");
  }
  if (dry_run) return moved;
  OperationData entry = task_data_of("move", record);
  entry.path = moved.to;
  run_operation(session, "", {entry},
                [&](std::int64_t operation) { session.registry.move_task(operation, name, moved.to); });
  return moved;
}

}  // namespace mformer
