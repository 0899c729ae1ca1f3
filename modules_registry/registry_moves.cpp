#include "modules_registry/database.h"
#include "modules_registry/error.h"
#include "modules_registry/name_rows.h"
#include "modules_registry/registry.h"
#include "modules_registry/removed.h"
#include "modules_registry/suggest.h"

// Other names of a version, looking at one, and doing again what an undo took back.
namespace mformer {

// ---- Tags -----------------------------------------------------------------------------------------------------------

void Registry::require_taggable(const std::string& name) const {
  require_valid_name("tag", name);
  require_free(*db_, Thing::tag, name);
}

void Registry::make_tag(std::int64_t operation_id, const std::string& name, const std::string& version_hash) {
  WriteTransaction transaction(*db_);
  running_operation(operation_id);
  const VersionRecord tagged = version(version_hash);  // throws if unknown
  require_taggable(name);
  Query(*db_, "INSERT INTO tags VALUES (?, ?, ?, ?)").bind(name, version_hash, operation_id, now_ms()).run();
  note_change(*db_, {operation_id, Thing::tag, "make", "", name, ""}, true);
  end_operation(operation_id, Outcome::done, name + " = " + to_string(tagged), "");
  transaction.commit();
  running_.erase(operation_id);
}

std::vector<TagRecord> Registry::tags() const {
  Query rows(*db_, "SELECT name, version_hash, operation_id, created_ms FROM tags ORDER BY created_ms, name");
  std::vector<TagRecord> found;
  while (rows.next()) found.push_back({rows.text(0), rows.text(1), rows.integer(2), rows.integer(3)});
  return found;
}

TagRecord Registry::tag(const std::string& name) const {
  std::vector<std::string> names;
  for (TagRecord& known : tags()) {
    if (known.name == name) return std::move(known);
    names.push_back(known.name);
  }
  throw UsageError("there is no tag '" + name + "'", suggestion_hint(name, names, "tags", "the workspace has no tags"));
}

// ---- Branches and looking -------------------------------------------------------------------------------------------

void Registry::look_at(const std::string& version_hash) {
  const VersionRecord seen = version(version_hash);  // throws if unknown
  model(seen.model);                                 // throws if it was removed
  atomically([&] {
    set_setting("current_model", seen.model);
    set_setting("looked_at", version_hash);
  });
}

std::string Registry::looked_at() const {
  return setting("looked_at").value_or("");
}

void Registry::require_new_model(const std::string& name) const {
  require_valid_name("model", name);
  require_free(*db_, Thing::model, name);
}

void Registry::make_model(std::int64_t operation_id, const std::string& name, const std::string& version_hash) {
  WriteTransaction transaction(*db_);
  running_operation(operation_id);
  const VersionRecord start = version(version_hash);  // throws if unknown
  require_new_model(name);
  Query(*db_, "INSERT INTO models (name, current_version, created_ms) VALUES (?, ?, ?)")
      .bind(name, version_hash, now_ms())
      .run();
  note_change(*db_, {operation_id, Thing::model, "make", "", name, ""}, true);
  end_operation(operation_id, Outcome::done, name + " at " + to_string(start), version_hash);
  transaction.commit();
  running_.erase(operation_id);
}

// ---- Doing again ----------------------------------------------------------------------------------------------------

std::optional<NameChange> Registry::name_change(std::int64_t operation_id) const {
  Query row(*db_, "SELECT thing, change, old_name, new_name, before FROM name_changes WHERE operation_id = ?");
  row.bind(operation_id);
  if (!row.next()) return std::nullopt;
  return NameChange{operation_id, thing_from_string(row.text(0)), row.text(1), row.text(2), row.text(3), row.text(4)};
}

/// What an undo set aside is there until gc frees it.
void Registry::require_set_aside(Thing thing, const std::string& kept) const {
  Query row(*db_, std::string("SELECT 1 FROM ") + (thing == Thing::task ? "tasks" : "models") + " WHERE name = ?");
  row.bind(kept);
  if (row.next()) return;
  throw Error("what the undo took away was freed by gc meanwhile", "mformer log shows what happened; make it anew");
}

void Registry::do_again(std::int64_t operation_id, std::int64_t undone, std::int64_t undo) {
  const auto change = name_change(undone), opposite = name_change(undo);
  if (!change || !opposite) {
    throw Error("operation " + std::to_string(undo) + " took no change of a name back",
                "mformer log shows what it did");
  }
  const std::string& before = change->old_name;
  const std::string& after = change->new_name;
  if (change->change == "rename") return rename(operation_id, change->thing, before, after);
  if (change->change == "remove") return remove(operation_id, change->thing, before);
  if (change->change == "move") return move_task(operation_id, after, place_of(opposite->before));
  if (change->thing == Thing::tag) return make_tag(operation_id, after, opposite->before);
  // A model that was made, or a task's data that was replaced, were set aside by the undo.
  const std::string kept = removed_name(after, undo);
  WriteTransaction transaction(*db_);
  running_operation(operation_id);
  require_set_aside(change->thing, kept);
  if (change->change == "replace") {
    task(after);  // throws if it is gone
    require_idle(operation_id, change->thing, after);
    set_aside({operation_id, change->thing, change->change, before, after, ""});
  } else {
    require_free(*db_, change->thing, after);
    note_change(*db_, {operation_id, change->thing, change->change, before, after, ""}, true);
  }
  rename_rows(*db_, change->thing, kept, after);
  end_operation(operation_id, Outcome::done, after, "");
  transaction.commit();
  running_.erase(operation_id);
}

}  // namespace mformer
