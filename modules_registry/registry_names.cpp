#include <utility>

#include "modules_registry/database.h"
#include "modules_registry/error.h"
#include "modules_registry/name_rows.h"
#include "modules_registry/registry.h"
#include "modules_registry/removed.h"

// Names of models, tasks and tags. Nothing is deleted here: what is removed is renamed (removed.h), so that it can be
// taken back until gc.
namespace mformer {

namespace {

bool exists(Database& db, const std::string& sql, const std::string& name) {
  Query row(db, sql);
  row.bind(name);
  return row.next();
}

bool model_exists(Database& db, const std::string& name) {
  return exists(db, "SELECT 1 FROM models WHERE name = ?", name);
}

bool tag_exists(Database& db, const std::string& name) {
  return exists(db, "SELECT 1 FROM tags WHERE name = ?", name);
}

bool task_exists(Database& db, const std::string& name) {
  return exists(db, "SELECT 1 FROM tasks WHERE name = ?", name);
}

}  // namespace

/// Models and tags share their names, since both stand where a REF is asked for.
void require_free(Database& db, Thing thing, const std::string& name) {
  const auto refuse = [&](const char* what, const char* list) {
    throw UsageError("there is a " + std::string(what) + " '" + name + "' already",
                     "choose another name; " + std::string(list) + " lists those that are taken");
  };
  if (thing == Thing::task) {
    if (task_exists(db, name)) refuse("task", "mformer tasks");
    return;
  }
  if (model_exists(db, name)) refuse("model", "mformer models");
  if (tag_exists(db, name)) refuse("tag", "mformer tag");
}

/// Gives the rows of a model or task another name. References are checked at the end of the transaction.
void rename_rows(Database& db, Thing thing, const std::string& from, const std::string& to) {
  db.script("PRAGMA defer_foreign_keys = ON");
  const auto rename = [&](const char* sql) { Query(db, sql).bind(to, from).run(); };
  if (thing == Thing::task) {
    rename("UPDATE tasks SET name = ? WHERE name = ?");
  } else {
    rename("UPDATE models SET name = ? WHERE name = ?");
    rename("UPDATE versions SET model = ? WHERE model = ?");
    rename("UPDATE settings SET value = ? WHERE key = 'current_model' AND value = ?");
  }
}

void note_change(Database& db, const NameChange& change, bool undoable) {
  Query(db, "INSERT INTO name_changes VALUES (?, ?, ?, ?, ?, ?, ?)")
      .bind(change.operation_id, to_string(change.thing), change.change, change.old_name, change.new_name,
            change.before, undoable)
      .run();
}

namespace {

constexpr const char* kSelectChange =
    "SELECT operation_id, thing, change, old_name, new_name, before FROM name_changes ";

NameChange read_change(Query& row) {
  return {row.integer(0), thing_from_string(row.text(1)), row.text(2), row.text(3), row.text(4), row.text(5)};
}

/// Where a rename, a removal or a replacement put the name.
std::string name_after(const NameChange& change) {
  return change.change == "rename" ? change.new_name : removed_name(change.old_name, change.operation_id);
}

}  // namespace

/// Throws while a command other than `own` that runs has the model or task in its hands.
void Registry::require_idle(std::int64_t own, Thing thing, const std::string& name) const {
  Query rows(*db_, "SELECT id FROM operations WHERE outcome = 'running' AND id <> ?");
  rows.bind(own);
  while (rows.next()) {
    const OperationRecord other = operation(rows.integer(0));
    if (other.outcome != Outcome::running) continue;
    bool used = thing == Thing::model && other.model == name;
    for (const OperationData& data : other.data) used = used || (thing == Thing::task && data.task == name);
    if (!used) continue;
    throw Error("the " + std::string(to_string(thing)) + " '" + name + "' is in use: " + other.command +
                    " (operation " + std::to_string(other.id) + ") is running",
                "wait until it has ended: mformer log -n 5 shows it");
  }
}

// ---- Models and tasks -----------------------------------------------------------------------------------------------

void Registry::require_renamable(Thing thing, const std::string& from, const std::string& to, std::int64_t own) const {
  require_valid_name(to_string(thing), to);
  thing == Thing::task ? void(task(from)) : void(model(from));  // throws if unknown
  require_free(*db_, thing, to);
  require_idle(own, thing, from);
}

void Registry::rename(std::int64_t operation_id, Thing thing, const std::string& from, const std::string& to) {
  WriteTransaction transaction(*db_);
  running_operation(operation_id);
  require_renamable(thing, from, to, operation_id);
  rename_rows(*db_, thing, from, to);
  note_change(*db_, {operation_id, thing, "rename", from, to, ""}, true);
  end_operation(operation_id, Outcome::done, from + " -> " + to, "");
  transaction.commit();
  running_.erase(operation_id);
}

void Registry::require_removable(Thing thing, const std::string& name, std::int64_t own) const {
  if (thing == Thing::tag) return void(tag(name));  // throws if unknown, as the next two
  if (thing == Thing::task) {
    task(name);
  } else if (model(name); current_model() == name) {
    const bool only = models().size() == 1;
    throw Error(
        "'" + name + "' is the workspace's " + (only ? "only" : "current") + " model and stays",
        only ? "make another one first: mformer init --name NAME --tokenizer tokenizer.json; then mformer use NAME"
             : "make another one current first: mformer use NAME; mformer models lists them");
  }
  require_idle(own, thing, name);
}

void Registry::remove(std::int64_t operation_id, Thing thing, const std::string& name) {
  WriteTransaction transaction(*db_);
  running_operation(operation_id);
  require_removable(thing, name, operation_id);
  if (thing == Thing::tag) {
    note_change(*db_, {operation_id, thing, "remove", name, "", tag(name).version}, true);
    Query(*db_, "DELETE FROM tags WHERE name = ?").bind(name).run();
  } else {
    set_aside({operation_id, thing, "remove", name, "", ""});
  }
  end_operation(operation_id, Outcome::done, name, "");
  transaction.commit();
  running_.erase(operation_id);
}

/// Inside the caller's transaction.
void Registry::set_aside(const NameChange& change) {
  rename_rows(*db_, change.thing, change.old_name, removed_name(change.old_name, change.operation_id));
  note_change(*db_, change, true);
}

// ---- Tasks ----------------------------------------------------------------------------------------------------------

void Registry::move_task(std::int64_t operation_id, const std::string& name, const std::string& data_path) {
  WriteTransaction transaction(*db_);
  running_operation(operation_id);
  task(name);  // throws if unknown
  Query row(*db_, "SELECT data_path FROM tasks WHERE name = ?");
  row.bind(name).next();
  const std::string before = row.text(0), after = kept_path(data_path);
  put_path(name, after);
  note_change(*db_, {operation_id, Thing::task, "move", name, name, before}, true);
  end_operation(operation_id, Outcome::done, "from " + place_of(before), "");
  transaction.commit();
  running_.erase(operation_id);
}

void Registry::place_task(const std::string& name, const std::string& data_path) {
  WriteTransaction transaction(*db_);
  task(name);  // throws if unknown
  put_path(name, kept_path(data_path));
  transaction.commit();
}

/// Inside the caller's transaction. The path is meant as it is from now on, even if it is absolute.
void Registry::put_path(const std::string& name, const std::string& kept) {
  Query(*db_, "UPDATE tasks SET data_path = ? WHERE name = ?").bind(kept, name).run();
  Query(*db_, "DELETE FROM old_paths WHERE task_id = (SELECT id FROM tasks WHERE name = ?)").bind(name).run();
}

bool Registry::has_task(const std::string& name) const {
  return !is_removed(name) && task_exists(*db_, name);
}

std::string Registry::task_name_now(const std::string& name, std::int64_t operation_id) const {
  Query rows(*db_, std::string(kSelectChange) +
                       "WHERE operation_id > ? AND thing = 'task' AND change IN ('rename', 'remove') "
                       "ORDER BY operation_id");
  rows.bind(operation_id);
  std::string now = name;
  while (rows.next()) {
    const NameChange change = read_change(rows);
    if (change.old_name == now) now = name_after(change);
  }
  return now;
}

// ---- Taking back ----------------------------------------------------------------------------------------------------

std::optional<NameChange> Registry::last_name_change(const std::string& model_name) const {
  Query row(*db_, std::string(kSelectChange) +
                      "WHERE undoable = 1 AND (?1 = '' OR (thing = 'model' AND (new_name = ?1 OR old_name = ?1 AND "
                      "change = 'remove'))) ORDER BY operation_id DESC LIMIT 1");
  row.bind(model_name);
  if (!row.next()) return std::nullopt;
  return read_change(row);
}

void Registry::take_back(std::int64_t operation_id, std::int64_t undone) {
  WriteTransaction transaction(*db_);
  running_operation(operation_id);
  Query row(*db_, std::string(kSelectChange) + "WHERE operation_id = ? AND undoable = 1");
  row.bind(undone);
  if (!row.next()) {
    throw Error("operation " + std::to_string(undone) + " was taken back already, or gc has freed what it removed",
                "mformer log shows what happened");
  }
  const NameChange change = read_change(row);
  if (change.thing == Thing::tag) {
    take_back_tag(operation_id, change);
  } else {
    take_back_rows(operation_id, change);
  }
  Query(*db_, "UPDATE name_changes SET undoable = 0 WHERE operation_id = ?").bind(undone).run();
  end_operation(operation_id, Outcome::done, "undid " + operation(undone).command, "");
  transaction.commit();
  running_.erase(operation_id);
}

void Registry::take_back_rows(std::int64_t operation_id, const NameChange& change) {
  if (change.change == "move") {
    Query row(*db_, "SELECT data_path FROM tasks WHERE name = ?");
    const std::string left = row.bind(change.new_name).next() ? row.text(0) : "";
    put_path(change.new_name, change.before);
    return note_change(*db_, {operation_id, change.thing, "move", change.new_name, change.new_name, left}, false);
  }
  if (change.change == "make") {
    require_removable(change.thing, change.new_name, operation_id);
    rename_rows(*db_, change.thing, change.new_name, removed_name(change.new_name, operation_id));
    return note_change(*db_, {operation_id, change.thing, "remove", change.new_name, "", ""}, false);
  }
  const std::string kept = name_after(change);
  if (change.change == "replace") {
    rename_rows(*db_, Thing::task, change.new_name, removed_name(change.new_name, operation_id));
  } else if (change.change == "rename") {
    change.thing == Thing::task ? void(task(kept)) : void(model(kept));  // throws if it is gone
    require_idle(operation_id, change.thing, kept);
  }
  require_free(*db_, change.thing, change.old_name);
  rename_rows(*db_, change.thing, kept, change.old_name);
  note_change(*db_, {operation_id, change.thing, "rename", kept, change.old_name, ""}, false);
}

void Registry::take_back_tag(std::int64_t operation_id, const NameChange& change) {
  if (change.change == "make") {
    note_change(*db_, {operation_id, Thing::tag, "remove", change.new_name, "", tag(change.new_name).version}, false);
    Query(*db_, "DELETE FROM tags WHERE name = ?").bind(change.new_name).run();
    return;
  }
  require_free(*db_, Thing::tag, change.old_name);
  version(change.before);  // throws if it is gone
  note_change(*db_, {operation_id, Thing::tag, "make", "", change.old_name, ""}, false);
  Query(*db_, "INSERT INTO tags VALUES (?, ?, ?, ?)")
      .bind(change.old_name, change.before, change.operation_id, now_ms())
      .run();
}

}  // namespace mformer
