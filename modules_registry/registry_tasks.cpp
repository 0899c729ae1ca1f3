#include <cmath>
#include <map>
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

void require_finite(double value, const std::string& what) {
  if (!std::isfinite(value)) throw Error(what + " is " + std::to_string(value) + "; only finite numbers are kept");
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

std::vector<TaskRecord> Registry::tasks() const {
  Query rows(*db_, std::string(kSelectTask) + "WHERE " + kLiving + "ORDER BY id");
  std::vector<TaskRecord> found;
  while (rows.next()) found.push_back(read_task(rows));
  for (TaskRecord& task : found) task.data_path = place_of(task.data_path);
  return found;
}

void Registry::put_routing_stats(const std::string& version_hash, const std::string& task_name,
                                 std::span<const RoutingStat> stats) {
  WriteTransaction transaction(*db_);
  task(task_name);  // throws if unknown
  std::map<std::string, std::pair<int, Kind>> places;
  for (const ModuleRecord& module : modules(version_hash)) places[module.uid] = {module.layer, module.kind};

  Query(*db_, "DELETE FROM routing_stats WHERE version_hash = ? AND task = ?").bind(version_hash, task_name).run();
  Query insert(*db_, "INSERT INTO routing_stats VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)");
  for (const RoutingStat& stat : stats) {
    const auto place = places.find(stat.module_uid);
    if (place == places.end() || place->second != std::pair(stat.layer, stat.kind)) {
      throw Error("module " + stat.module_uid + " is not in layer " + std::to_string(stat.layer) + ", kind " +
                  std::string(to_string(stat.kind)) + " of version " + version_hash);
    }
    require_finite(stat.gate_mass, "the gate mass of module " + stat.module_uid);
    require_finite(stat.weighted_output_norm, "the output norm of module " + stat.module_uid);
    insert
        .bind(version_hash, task_name, stat.layer, to_string(stat.kind), stat.module_uid, stat.slots, stat.gate_mass,
              stat.weighted_output_norm, stat.tokens)
        .run();
  }
  transaction.commit();
}

std::vector<RoutingStat> Registry::routing_stats(const std::string& version_hash, const std::string& task_name) const {
  version(version_hash);  // both throw if unknown
  task(task_name);
  Query rows(*db_,
             "SELECT s.layer, s.kind, s.module_uid, slots, gate_mass, weighted_output_norm, tokens "
             "FROM routing_stats AS s JOIN version_modules AS m USING (version_hash, layer, kind) "
             "JOIN revisions ON revisions.id = m.revision_id AND revisions.module_uid = s.module_uid "
             "WHERE s.version_hash = ? AND s.task = ? ORDER BY s.layer, s.kind, m.position");
  rows.bind(version_hash, task_name);
  std::vector<RoutingStat> found;
  while (rows.next()) {
    found.push_back({static_cast<int>(rows.integer(0)), kind_from_string(rows.text(1)), rows.text(2), rows.integer(3),
                     rows.real(4), rows.real(5), rows.integer(6)});
  }
  return found;
}

void Registry::put_score(const Score& score) {
  require_finite(score.value, "the score '" + score.metric + "' of task '" + score.task + "'");
  version(score.version);  // both throw if unknown
  task(score.task);
  Query(*db_, "INSERT OR REPLACE INTO scores VALUES (?, ?, ?, ?, ?, ?, NULLIF(?, 0), ?)")
      .bind(score.version, score.task, score.split, score.metric, score.value, score.token_count, score.operation_id,
            now_ms())
      .run();
}

std::vector<Score> Registry::scores(const std::string& version_hash, const std::string& task_name) const {
  if (!version_hash.empty()) version(version_hash);  // both throw if unknown
  if (!task_name.empty()) task(task_name);
  Query rows(*db_,
             "SELECT version_hash, task, split, metric, value, token_count, operation_id, created_ms FROM scores "
             "WHERE (?1 = '' OR version_hash = ?1) AND (?2 = '' OR task = ?2) AND instr(task, ' (removed ') = 0 "
             "ORDER BY created_ms, version_hash, task, split, metric");
  rows.bind(version_hash, task_name);
  std::vector<Score> found;
  while (rows.next()) {
    found.push_back({rows.text(0), rows.text(1), rows.text(2), rows.text(3), rows.real(4), rows.integer(5),
                     rows.integer(6), rows.integer(7)});
  }
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
