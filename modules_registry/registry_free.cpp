#include <set>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "modules_registry/database.h"
#include "modules_registry/error.h"
#include "modules_registry/registry.h"
#include "modules_registry/removed.h"
#include "modules_registry/seals.h"

// What gc frees for good: models and tasks that were removed long enough ago.
namespace mformer {

namespace {

using Hashes = std::unordered_set<std::string>;

struct VersionRow {
  std::string parent, merged, model;
};

std::unordered_map<std::string, VersionRow> all_versions(Database& db) {
  // A merge keeps the version that it took in beside its parent in the operation's arguments.
  Query rows(db,
             "SELECT hash, parent_hash, CASE WHEN command = 'merge' AND json_valid(arguments_json) "
             "THEN json_extract(arguments_json, '$.b_hash') END, versions.model "
             "FROM versions JOIN operations ON operations.id = operation_id");
  std::unordered_map<std::string, VersionRow> versions;
  while (rows.next()) versions.emplace(rows.text(0), VersionRow{rows.text(1), rows.text(2), rows.text(3)});
  return versions;
}

std::vector<std::string> texts(Database& db, const std::string& sql) {
  Query rows(db, sql);
  std::vector<std::string> found;
  while (rows.next()) found.push_back(rows.text(0));
  return found;
}

/// Names, with their mark, of rows of `table` that an operation which ended before `before_ms` removed or replaced.
std::vector<std::string> long_removed(Database& db, const std::string& table, std::int64_t before_ms) {
  Query ended(db, "SELECT 1 FROM operations WHERE id = ? AND ended_ms <= ?");
  std::vector<std::string> names;
  for (std::string& name : texts(db, "SELECT name FROM " + table + " WHERE NOT " + kLiving)) {
    ended.bind(removing_operation(name), before_ms);
    if (ended.next()) names.push_back(std::move(name));
  }
  return names;
}

/// Versions of the models `gone` that nothing else is, descends from or was merged from. `emptied` gets the models of
/// which none stays.
Hashes freed_versions(Database& db, const std::set<std::string>& gone, std::int64_t before_ms,
                      std::set<std::string>& emptied) {
  const auto versions = all_versions(db);
  std::vector<std::string> to_keep;
  for (const auto& [hash, row] : versions) {
    if (!gone.contains(row.model)) to_keep.push_back(hash);
  }
  Query current(db, "SELECT name, current_version FROM models");
  while (current.next()) {
    if (!gone.contains(current.text(0))) to_keep.push_back(current.text(1));
  }
  for (std::string& tagged : texts(db, "SELECT version_hash FROM tags")) to_keep.push_back(std::move(tagged));
  Query untagged(db,
                 "SELECT before FROM name_changes JOIN operations ON operations.id = operation_id "
                 "WHERE thing = 'tag' AND change = 'remove' AND undoable = 1 AND ended_ms > ?");
  untagged.bind(before_ms);
  while (untagged.next()) to_keep.push_back(untagged.text(0));

  Hashes kept;
  while (!to_keep.empty()) {
    const std::string hash = std::move(to_keep.back());
    to_keep.pop_back();
    const auto found = versions.find(hash);
    if (found == versions.end() || !kept.insert(hash).second) continue;
    to_keep.push_back(found->second.parent);
    to_keep.push_back(found->second.merged);
  }
  Hashes freed;
  emptied = gone;
  for (const auto& [hash, row] : versions) {
    if (!kept.contains(hash)) {
      freed.insert(hash);
    } else {
      emptied.erase(row.model);
    }
  }
  return freed;
}

/// Fills tables of this connection alone, which a database opened for reading may have too: the freed versions, and the
/// banks, revisions, parts and objects that stay. A revision from which a kept one was trained stays.
void select_freed(Database& db, const Hashes& versions) {
  db.script(
      "DROP TABLE IF EXISTS temp.freed_versions; DROP TABLE IF EXISTS temp.kept_banks; "
      "DROP TABLE IF EXISTS temp.kept_revisions; DROP TABLE IF EXISTS temp.kept_parts; "
      "DROP TABLE IF EXISTS temp.kept_objects; "
      "CREATE TEMP TABLE freed_versions (hash TEXT PRIMARY KEY, id INTEGER); "
      "CREATE TEMP TABLE kept_banks (id INTEGER PRIMARY KEY); "
      "CREATE TEMP TABLE kept_revisions (id INTEGER PRIMARY KEY); "
      "CREATE TEMP TABLE kept_parts (id INTEGER PRIMARY KEY); "
      "CREATE TEMP TABLE kept_objects (hash TEXT PRIMARY KEY)");
  Query insert(db, "INSERT INTO temp.freed_versions SELECT hash, id FROM versions WHERE hash = ?");
  for (const std::string& hash : versions) insert.bind(hash).run();
  db.script(
      "INSERT OR IGNORE INTO temp.kept_banks SELECT bank_id FROM version_banks "
      "WHERE version_id NOT IN (SELECT id FROM temp.freed_versions); "
      "INSERT INTO temp.kept_revisions WITH RECURSIVE line (id) AS (SELECT revision_id FROM bank_modules "
      "WHERE bank_id IN (SELECT id FROM temp.kept_banks) UNION "
      "SELECT parent_id FROM revisions JOIN line USING (id) WHERE parent_id IS NOT NULL) SELECT id FROM line; "
      "INSERT OR IGNORE INTO temp.kept_parts SELECT part_id FROM version_parts "
      "WHERE version_id NOT IN (SELECT id FROM temp.freed_versions); "
      "INSERT OR IGNORE INTO temp.kept_objects SELECT object_hash FROM revisions "
      "WHERE id IN (SELECT id FROM temp.kept_revisions); "
      "INSERT OR IGNORE INTO temp.kept_objects SELECT hash FROM objects WHERE id IN (SELECT object_id FROM parts "
      "WHERE id IN (SELECT id FROM temp.kept_parts)); "
      "INSERT OR IGNORE INTO temp.kept_objects SELECT hash FROM objects WHERE id IN (SELECT router_id "
      "FROM version_banks WHERE version_id NOT IN (SELECT id FROM temp.freed_versions)); "
      "INSERT OR IGNORE INTO temp.kept_objects SELECT tokenizer_object FROM versions "
      "WHERE tokenizer_object IS NOT NULL AND id NOT IN (SELECT id FROM temp.freed_versions)");
}

/// Deletes what select_freed() chose. References are not looked at row by row, which would take a search of whole
/// tables for each; the caller checks them all at the end.
void delete_freed(Database& db) {
  db.script(
      "DELETE FROM scores WHERE version_id IN (SELECT id FROM temp.freed_versions); "
      "DELETE FROM routing_stats WHERE routing_id IN (SELECT id FROM routings WHERE version_id IN "
      "(SELECT id FROM temp.freed_versions)); "
      "DELETE FROM routings WHERE version_id IN (SELECT id FROM temp.freed_versions); "
      "DELETE FROM version_banks WHERE version_id IN (SELECT id FROM temp.freed_versions); "
      "DELETE FROM bank_modules WHERE bank_id NOT IN (SELECT id FROM temp.kept_banks); "
      "DELETE FROM banks WHERE id NOT IN (SELECT id FROM temp.kept_banks); "
      "DELETE FROM version_parts WHERE version_id IN (SELECT id FROM temp.freed_versions); "
      "DELETE FROM parts WHERE id NOT IN (SELECT id FROM temp.kept_parts); "
      "UPDATE operations SET version_before = NULL WHERE version_before IN (SELECT hash FROM temp.freed_versions); "
      "UPDATE operations SET version_after = NULL WHERE version_after IN (SELECT hash FROM temp.freed_versions); "
      "DELETE FROM versions WHERE hash IN (SELECT hash FROM temp.freed_versions); "
      "DELETE FROM revisions WHERE id NOT IN (SELECT id FROM temp.kept_revisions); "
      "DELETE FROM modules WHERE uid NOT IN (SELECT module_uid FROM revisions); "
      "DELETE FROM objects WHERE hash NOT IN (SELECT hash FROM temp.kept_objects)");
}

/// A removed model of which versions stay keeps its row under its marked name, pointing to the last of them.
void delete_model(Database& db, const std::string& name) {
  Query(db, "DELETE FROM models WHERE name = ?1 AND NOT EXISTS (SELECT 1 FROM versions WHERE model = ?1)")
      .bind(name)
      .run();
  Query(db,
        "UPDATE models SET current_version = (SELECT hash FROM versions WHERE model = ?1 ORDER BY number DESC LIMIT 1) "
        "WHERE name = ?1 AND current_version NOT IN (SELECT hash FROM versions)")
      .bind(name)
      .run();
}

void delete_task(Database& db, const std::string& name) {
  Query row(db, "SELECT id FROM tasks WHERE name = ?");
  row.bind(name).next();
  const std::int64_t id = row.integer(0);
  for (const char* sql : {"DELETE FROM scores WHERE task_id = ?",
                          "DELETE FROM routing_stats WHERE routing_id IN (SELECT id FROM routings WHERE task_id = ?)",
                          "DELETE FROM routings WHERE task_id = ?", "DELETE FROM old_paths WHERE task_id = ?",
                          "DELETE FROM tasks WHERE id = ?"}) {
    Query(db, sql).bind(id).run();
  }
}

/// What was freed can't be taken back, nor can what was done to its kind before: those names may lead to it.
void make_final(Database& db, Thing thing, const std::vector<std::string>& freed) {
  Query change(db, "UPDATE name_changes SET undoable = 0 WHERE thing = ? AND operation_id <= ?");
  for (const std::string& name : freed) change.bind(to_string(thing), removing_operation(name)).run();
  db.script(
      "UPDATE name_changes SET undoable = 0 WHERE thing = 'tag' AND change = 'remove' AND "
      "before NOT IN (SELECT hash FROM versions)");
}

void require_sound_references(Database& db) {
  Query broken(db, "PRAGMA foreign_key_check");
  if (!broken.next()) return;
  throw Error("freeing what was removed would leave a row of " + broken.text(0) + " without one of " + broken.text(2) +
                  "; nothing was freed",
              "mformer fsck tells what is wrong with the workspace");
}

}  // namespace

/// With `dry_run` nothing changes, but temp.kept_objects has what would stay, if versions would go.
void Registry::free_removed(bool dry_run, std::int64_t grace_ms, GcResult& result) {
  std::optional<UncheckedReferences> unchecked;
  std::optional<WriteTransaction> transaction;
  if (!dry_run) {
    unchecked.emplace(*db_);
    transaction.emplace(*db_);
  }
  const std::int64_t before_ms = now_ms() - grace_ms;
  const auto models = long_removed(*db_, "models", before_ms), tasks = long_removed(*db_, "tasks", before_ms);
  if (models.empty() && tasks.empty()) return;
  for (const OperationRecord& other : operations()) {
    if (other.outcome != Outcome::running) continue;
    result.waits_for = other.command + " (operation " + std::to_string(other.id) + ")";
    return;
  }
  if (!broken_seals(*db_).empty()) return;  // gc() refuses, and says why
  std::set<std::string> emptied;
  const Hashes versions = freed_versions(*db_, {models.begin(), models.end()}, before_ms, emptied);
  result.models = static_cast<std::int64_t>(emptied.size());
  result.tasks = static_cast<std::int64_t>(tasks.size());
  result.versions = static_cast<std::int64_t>(versions.size());
  result.freed_versions.insert(versions.begin(), versions.end());
  result.freed_tasks.insert(tasks.begin(), tasks.end());
  if (!versions.empty()) select_freed(*db_, versions);
  if (dry_run) return;
  if (!versions.empty()) delete_freed(*db_);
  for (const std::string& name : models) delete_model(*db_, name);
  for (const std::string& name : tasks) delete_task(*db_, name);
  make_final(*db_, Thing::model, models);
  make_final(*db_, Thing::task, tasks);
  require_sound_references(*db_);
  transaction->commit();
}

}  // namespace mformer
