#include <map>
#include <set>

#include "modules_registry/database.h"
#include "modules_registry/error.h"
#include "modules_registry/manifest.h"
#include "modules_registry/name_rows.h"
#include "modules_registry/parcel.h"
#include "modules_registry/registry.h"

// What comes from another workspace. Every version is checked against its hash before its rows are written.
namespace mformer {

namespace {

using IdsByUid = std::map<std::string, std::int64_t>;

std::int64_t id_of_operation(const IdsByUid& ids, const std::string& uid) {
  const auto found = ids.find(uid);
  if (found != ids.end()) return found->second;
  throw Error("what came names operation " + uid + ", which did not come with it",
              "it is damaged, or was changed where it comes from: take it from another copy");
}

/// What made the parcel's versions and modules, and measured what is taken over of it.
std::set<std::string> needed_operations(const Parcel& parcel, const std::map<std::string, std::string>& tasks) {
  std::set<std::string> needed;
  for (const ParcelVersion& version : parcel.versions) needed.insert(version.operation_uid);
  for (const ParcelModule& module : parcel.modules) needed.insert(module.operation_uid);
  for (const ParcelScore& arrived : parcel.scores) {
    if (tasks.contains(arrived.score.task)) needed.insert(arrived.operation_uid);
  }
  for (const ParcelStats& stats : parcel.stats) {
    if (tasks.contains(stats.task_content)) needed.insert(stats.operation_uid);
  }
  needed.erase("");
  return needed;
}

/// Those of the needed operations that are not known yet, without the versions before and after, which come later.
IdsByUid adopt_operations(Database& db, const Parcel& parcel, const std::set<std::string>& needed) {
  IdsByUid ids;
  Query known(db, "SELECT id FROM operations WHERE uid = ?");
  Query insert(
      db,
      "INSERT INTO operations (uid, command, arguments_json, seed, code_version, started_ms, ended_ms, outcome, "
      "message, model, command_line, folder, threads, origin) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
  Query data(db, "INSERT INTO operation_data VALUES (?, ?, ?, ?, ?, ?)");
  for (const OperationRecord& operation : parcel.operations) {
    if (!needed.contains(operation.uid)) continue;
    known.bind(operation.uid);
    if (known.next()) {
      ids[operation.uid] = known.integer(0);
      continue;
    }
    insert
        .bind(operation.uid, operation.command, operation.arguments_json, operation.seed, operation.code_version,
              operation.started_ms, operation.ended_ms, to_string(operation.outcome), operation.message,
              operation.model, operation.typed.line, operation.typed.folder, operation.typed.threads, operation.origin)
        .run();
    const std::int64_t id = ids[operation.uid] = db.last_inserted_id();
    for (int position = 0; const OperationData& item : operation.data) {
      data.bind(id, position++, item.role, item.task, item.path, item.content_hash).run();
    }
  }
  return ids;
}

std::set<std::string> modules_of(const Parcel& parcel) {
  std::set<std::string> uids;
  for (const ParcelVersion& arrived : parcel.versions) {
    for (const LayerManifest& layer : arrived.manifest.layers) {
      for (const Kind kind : {Kind::att, Kind::mlp}) {
        for (const ManifestModule& module : layer.modules(kind)) uids.insert(module.uid);
      }
    }
  }
  return uids;
}

void adopt_modules(Database& db, const Parcel& parcel, const IdsByUid& operations) {
  const std::set<std::string> needed = modules_of(parcel);
  Query insert(db, "INSERT INTO modules VALUES (?, ?, ?, ?, ?, ?, NULLIF(?, ''), ?) ON CONFLICT (uid) DO NOTHING");
  for (const ParcelModule& arrived : parcel.modules) {
    const ModuleRecord& module = arrived.module;
    if (!needed.contains(module.uid)) continue;
    insert
        .bind(module.uid, to_string(module.kind), module.layer, id_of_operation(operations, arrived.operation_uid),
              module.born_command, module.born_task, module.copied_from, module.created_ms)
        .run();
  }
}

/// Its number where it comes from, if it goes by the same name here and the number is free; else the next.
int number_for(Database& db, const std::string& model, const VersionRecord& arrived) {
  Query taken(db, "SELECT 1 FROM versions WHERE model = ? AND number = ?");
  taken.bind(model, arrived.number);
  if (arrived.model == model && !taken.next()) return arrived.number;
  Query next(db, "SELECT 1 + coalesce(max(number), 0) FROM versions WHERE model = ?");
  next.bind(model).next();
  return static_cast<int>(next.integer(0));
}

/// Where the operations began and ended, as far as those versions are known here.
void link_operations(Database& db, const Parcel& parcel) {
  for (const char* column : {"version_before", "version_after"}) {
    const std::string name = column;
    Query link(db, "UPDATE operations SET " + name + " = ?1 WHERE uid = ?2 AND origin <> '' AND " + name +
                       " IS NULL AND EXISTS (SELECT 1 FROM versions WHERE hash = ?1)");
    for (const OperationRecord& operation : parcel.operations) {
      link.bind(name == "version_before" ? operation.version_before : operation.version_after, operation.uid).run();
    }
  }
}

/// Names of tasks by the content of their data.
std::map<std::string, std::string> tasks_by_content(const Registry& registry) {
  std::map<std::string, std::string> names;
  for (const TaskRecord& task : registry.tasks()) names.emplace(task.content_hash, task.name);
  return names;
}

}  // namespace

std::string Registry::identity() const {
  Query row(*db_, "SELECT uid FROM operations WHERE origin = '' ORDER BY id LIMIT 1");
  return row.next() ? row.text(0) : "";
}

bool Registry::has_version(const std::string& hash) const {
  Query row(*db_, "SELECT 1 FROM versions WHERE hash = ?");
  row.bind(hash);
  return row.next();
}

Adopted Registry::adopt(std::int64_t operation_id, const Parcel& parcel, const std::string& model_name,
                        const std::string& seen, const std::string& message) {
  for (const ParcelVersion& arrived : parcel.versions) {
    const VersionRecord& version = arrived.version;
    if (version_hash(arrived.manifest, version.parent, arrived.operation_uid) == version.hash) continue;
    throw Error("version " + version.hash + " is not what its hash says: nothing was taken over",
                "it is damaged, or was changed where it comes from: take it from another copy");
  }
  objects_.flush();  // before the transaction, so that others need not wait for the disk
  WriteTransaction transaction(*db_);
  running_operation(operation_id);
  if (seen.empty()) {
    require_new_model(model_name);
    // The model's row comes first, since versions refer to it; its own reference is checked at the end.
    Query(*db_, "INSERT INTO models (name, current_version, created_ms) VALUES (?, ?, ?)")
        .bind(model_name, parcel.current, now_ms())
        .run();
    note_change(*db_, {operation_id, Thing::model, "make", "", model_name, ""}, true);
  } else if (model(model_name).current_version != seen) {
    throw Error("another command has moved the model '" + model_name + "' meanwhile; it was left where it is",
                "mformer log shows what happened; then run the command again");
  }
  const IdsByUid operations = adopt_operations(*db_, parcel, needed_operations(parcel, tasks_by_content(*this)));
  adopt_modules(*db_, parcel, operations);
  for (const ParcelVersion& arrived : parcel.versions) {
    if (has_version(arrived.version.hash)) continue;
    if (!arrived.version.parent.empty()) version(arrived.version.parent);  // throws if unknown
    VersionRecord made = arrived.version;
    made.number = number_for(*db_, model_name, made);
    made.model = model_name;
    made.operation_id = id_of_operation(operations, arrived.operation_uid);
    write_version(arrived.manifest, made);
  }
  link_operations(*db_, parcel);
  const VersionRecord current = version(parcel.current);  // throws if unknown
  Query(*db_, "UPDATE models SET current_version = ? WHERE name = ?").bind(current.hash, model_name).run();
  Query(*db_, "INSERT OR IGNORE INTO settings VALUES ('current_model', ?)").bind(model_name).run();
  Adopted adopted{current};
  take_measurements(parcel, operations, adopted);
  end_operation(operation_id, Outcome::done, message, current.hash);
  transaction.commit();
  running_.erase(operation_id);
  return adopted;
}

Adopted Registry::adopt_measurements(std::int64_t operation_id, const Parcel& parcel, const std::string& message) {
  WriteTransaction transaction(*db_);
  running_operation(operation_id);
  const Parcel measured{"", "", parcel.operations, {}, {}, parcel.scores, parcel.stats, {}};
  const IdsByUid operations = adopt_operations(*db_, measured, needed_operations(measured, tasks_by_content(*this)));
  link_operations(*db_, measured);
  Adopted adopted;
  take_measurements(measured, operations, adopted);
  end_operation(operation_id, Outcome::done, message, "");
  transaction.commit();
  running_.erase(operation_id);
  return adopted;
}

/// Of tasks whose data is the same here; what was measured here stays. Inside the caller's transaction.
void Registry::take_measurements(const Parcel& parcel, const std::map<std::string, std::int64_t>& operations,
                                 Adopted& adopted) {
  const std::map<std::string, std::string> names = tasks_by_content(*this);
  const auto id_of = [&](const std::string& uid) { return uid.empty() ? 0 : id_of_operation(operations, uid); };
  for (const ParcelScore& arrived : parcel.scores) {
    Score score = arrived.score;
    const auto task = names.find(score.task);
    if (task == names.end() || !has_version(score.version)) continue;
    score.task = task->second;
    score.operation_id = id_of(arrived.operation_uid);
    bool is_known = false;
    for (const Score& own : scores(score.version, score.task)) {
      is_known = is_known || (own.split == score.split && own.metric == score.metric && own.part == score.part &&
                              own.token_limit == score.token_limit);
    }
    if (is_known) continue;
    put_score(score);
    ++adopted.measurements;
  }
  for (const ParcelStats& stats : parcel.stats) {
    const auto task = names.find(stats.task_content);
    if (task == names.end() || !has_version(stats.version)) continue;
    if (!routing_stats(stats.version, task->second, stats.on).empty()) continue;
    Measured on = stats.on;
    on.operation_id = id_of(stats.operation_uid);
    put_routing_stats(stats.version, task->second, stats.rows, on);
    ++adopted.measurements;
  }
}

}  // namespace mformer
