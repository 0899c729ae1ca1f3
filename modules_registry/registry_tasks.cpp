#include <optional>
#include <utility>

#include "modules_registry/database.h"
#include "modules_registry/error.h"
#include "modules_registry/registry.h"
#include "modules_registry/removed.h"
#include "modules_registry/shell_word.h"
#include "modules_registry/suggest.h"

namespace mformer {

namespace {

constexpr const char* kSelectTask =
    "SELECT name, data_path, content_hash, token_count, document_count, heldout_rule, created_operation, created_ms, "
    "fields, left_out_files, left_out_records, "
    "id IN (SELECT task_id FROM old_paths) FROM tasks ";

std::optional<std::int64_t> number_or_nothing(Query& row, int column) {
  return row.is_null(column) ? std::nullopt : std::optional(row.integer(column));
}

TaskRecord read_task(Query& row) {
  TaskRecord task;
  task.name = row.text(0);
  task.data_path = row.text(1);
  task.content_hash = row.text(2);
  task.token_count = row.integer(3);
  task.document_count = row.integer(4);
  task.heldout_rule = row.text(5);
  task.created_operation = row.integer(6);
  task.created_ms = row.integer(7);
  task.fields = row.text(8);
  task.left_out_files = number_or_nothing(row, 9);
  task.left_out_records = number_or_nothing(row, 10);
  task.old_path = row.integer(11) != 0;
  return task;
}

/// Content hash of the task of this name, or "" if there is none.
std::string task_content(Database& db, const std::string& name) {
  Query row(db, "SELECT content_hash FROM tasks WHERE name = ?");
  row.bind(name);
  return row.next() ? row.text(0) : "";
}

}  // namespace

void Registry::add_task(const TaskRecord& task, bool replace, std::int64_t ends) {
  WriteTransaction transaction(*db_);
  const std::string known = task_content(*db_, task.name);
  if (known.empty()) require_valid_name("task", task.name);  // one that is there may have a name from before that
  if (known != task.content_hash || known.empty()) insert_task(task, known, replace);
  if (ends != 0) end_operation(ends, Outcome::done, "", "");
  transaction.commit();
  running_.erase(ends);
}

/// Inside the caller's transaction; `known` is the content of the task that has the name already, or empty.
void Registry::insert_task(const TaskRecord& task, const std::string& known, bool replace) {
  if (!known.empty() && !replace) {
    throw Error("task '" + task.name + "' exists already, with other data",
                "give the new data another name, or add --replace (the task's statistics and scores go then)");
  }
  const bool kept = !known.empty() && task.created_operation != 0;
  if (kept) set_aside({task.created_operation, Thing::task, "replace", task.name, task.name, ""});
  Query(*db_, "DELETE FROM tasks WHERE name = ?").bind(task.name).run();
  Query(*db_,
        "INSERT INTO tasks (name, data_path, content_hash, token_count, document_count, heldout_rule, "
        "created_operation, created_ms, fields, left_out_files, left_out_records) "
        "VALUES (?, ?, ?, ?, ?, ?, NULLIF(?, 0), ?, ?, NULLIF(?, -1), NULLIF(?, -1))")
      .bind(task.name, kept_path(task.data_path), task.content_hash, task.token_count, task.document_count,
            task.heldout_rule, task.created_operation, now_ms(), task.fields, task.left_out_files.value_or(-1),
            task.left_out_records.value_or(-1))
      .run();
}

TaskRecord Registry::task(const std::string& name) const {
  Query row(*db_, std::string(kSelectTask) + "WHERE name = ?");
  row.bind(name);
  if (!is_removed(name) && row.next()) {
    TaskRecord found = read_task(row);
    found.data_path = place_of(found.data_path);
    return found;
  }
  std::vector<std::string> names;
  for (const TaskRecord& known : tasks()) names.push_back(known.name);
  throw UsageError("there is no task '" + name + "'",
                   suggestion_hint(name, names, "tasks",
                                   "name a data set first: mformer task add " + shell_word(name) + " --data DIR"));
}

std::set<std::string> Registry::task_contents(const std::set<std::string>& freed) const {
  Query rows(*db_, "SELECT name, content_hash FROM tasks");
  std::set<std::string> contents;
  while (rows.next()) {
    if (!freed.contains(rows.text(0))) contents.insert(rows.text(1));
  }
  return contents;
}

std::vector<TaskRecord> Registry::tasks() const {
  Query rows(*db_, std::string(kSelectTask) + "WHERE " + kLiving + "ORDER BY id");
  std::vector<TaskRecord> found;
  while (rows.next()) found.push_back(read_task(rows));
  for (TaskRecord& task : found) task.data_path = place_of(task.data_path);
  return found;
}

std::optional<std::string> Registry::setting(const std::string& key) const {
  Query row(*db_, "SELECT value FROM settings WHERE key = ?");
  row.bind(key);
  if (!row.next()) return std::nullopt;
  return row.text(0);
}

void Registry::set_setting(const std::string& key, const std::string& value) {
  Query(*db_, "INSERT OR REPLACE INTO settings VALUES (?, ?)").bind(key, value).run();
}

}  // namespace mformer
