#include <system_error>
#include <utility>

#include "modules_registry/database.h"
#include "modules_registry/error.h"
#include "modules_registry/registry.h"

namespace mformer {

namespace {

constexpr const char* kSelect =
    "SELECT id, uid, command, arguments_json, seed, code_version, started_ms, ended_ms, outcome, message, model, "
    "version_before, version_after, command_line, folder, threads, origin FROM operations ";

OperationRecord read_operation(Query& row) {
  OperationRecord operation;
  operation.id = row.integer(0);
  operation.uid = row.text(1);
  operation.command = row.text(2);
  operation.arguments_json = row.text(3);
  operation.seed = row.integer(4);
  operation.code_version = row.text(5);
  operation.started_ms = row.integer(6);
  operation.ended_ms = row.integer(7);
  operation.outcome = outcome_from_string(row.text(8));
  operation.message = row.text(9);
  operation.model = row.text(10);
  operation.version_before = row.text(11);
  operation.version_after = row.text(12);
  operation.typed = {row.text(13), row.text(14), static_cast<int>(row.integer(15))};
  operation.origin = row.text(16);
  return operation;
}

/// Of operations with falling ids, all that there are between the first and the last, in one query.
void read_data(Database& db, std::vector<OperationRecord>& operations) {
  if (operations.empty()) return;
  Query rows(
      db,
      "SELECT operation_id, role, task, path, content_hash FROM operation_data WHERE operation_id BETWEEN ? AND ? "
      "ORDER BY operation_id DESC, position");
  rows.bind(operations.back().id, operations.front().id);
  for (auto at = operations.begin(); rows.next();) {
    while (at != operations.end() && at->id > rows.integer(0)) ++at;
    if (at == operations.end()) return;
    at->data.push_back({rows.text(1), rows.text(2), rows.text(3), rows.text(4)});
  }
}

/// Before a command's work, so that none is done for a name that can't get it.
void refuse_tag(Database& db, const std::string& model) {
  Query row(db, "SELECT 1 FROM tags WHERE name = ?");
  row.bind(model);
  if (!row.next()) return;
  throw UsageError("'" + model + "' is a tag, a name that never moves, so it can't get a new version",
                   "give the result the name of a model, or a new one: --into NAME");
}

}  // namespace

std::int64_t Registry::begin_operation(const OperationStart& start) {
  const std::string uid = random_uid();
  // Locked before the row exists: who sees the row running can ask the lock whether that is still true.
  FileLock lock(lock_path(uid));
  WriteTransaction transaction(*db_);
  refuse_tag(*db_, start.model);
  Query(*db_,
        "INSERT INTO operations (uid, command, arguments_json, seed, code_version, started_ms, outcome, model, "
        "version_before, command_line, folder, threads) VALUES (?, ?, ?, ?, ?, ?, 'running', ?, "
        "(SELECT current_version FROM models WHERE name = ?), ?, ?, ?)")
      .bind(uid, start.command, start.arguments_json, start.seed, start.code_version, now_ms(), start.model,
            start.model, start.typed.line, kept_path(start.typed.folder), start.typed.threads)
      .run();
  const std::int64_t id = db_->last_inserted_id();
  Query data(*db_, "INSERT INTO operation_data VALUES (?, ?, ?, ?, ?, ?)");
  for (int position = 0; const OperationData& item : start.data) {
    data.bind(id, position++, item.role, item.task, item.path, item.content_hash).run();
  }
  transaction.commit();
  running_.emplace(id, std::move(lock));
  objects_.claim_in(lock_path(uid));
  return id;
}

void Registry::finish_operation(std::int64_t id, Outcome outcome, const std::string& message) {
  if (outcome == Outcome::running) throw Error("an operation can't end as running");
  // A version may have ended it already: then there is nothing to write, and nothing that can fail.
  if (operation(id).outcome != Outcome::running && !running_.contains(id)) return;  // throws if unknown
  WriteTransaction transaction(*db_);
  end_operation(id, outcome, message, "");
  transaction.commit();
  running_.erase(id);
}

void Registry::end_operation(std::int64_t id, Outcome outcome, const std::string& message,
                             const std::string& version_after) {
  Query(*db_,
        "UPDATE operations SET outcome = ?, message = ?, ended_ms = ?, version_after = NULLIF(?, '') "
        "WHERE id = ? AND outcome = 'running'")
      .bind(to_string(outcome), message, now_ms(), version_after, id)
      .run();
}

OperationRecord Registry::operation(std::int64_t id) const {
  Query row(*db_, std::string(kSelect) + "WHERE id = ?");
  row.bind(id);
  if (!row.next()) {
    throw UsageError("there is no operation " + std::to_string(id), "mformer log lists the operations");
  }
  std::vector<OperationRecord> found = {read_operation(row)};
  found.front().typed.folder = place_of(found.front().typed.folder);
  const bool dead = found.front().outcome == Outcome::running && !FileLock::is_held(lock_path(found.front().uid));
  if (dead) found.front().outcome = Outcome::interrupted;
  read_data(*db_, found);
  return std::move(found.front());
}

std::vector<OperationRecord> Registry::operations(int limit) const {
  Query rows(*db_, std::string(kSelect) + "ORDER BY id DESC LIMIT ?");
  rows.bind(limit > 0 ? limit : -1);
  std::vector<OperationRecord> found;
  while (rows.next()) {
    OperationRecord& operation = found.emplace_back(read_operation(rows));
    operation.typed.folder = place_of(operation.typed.folder);
    const bool dead = operation.outcome == Outcome::running && !FileLock::is_held(lock_path(operation.uid));
    if (dead) operation.outcome = Outcome::interrupted;
  }
  read_data(*db_, found);
  return found;
}

std::vector<std::int64_t> Registry::operations_of(const std::string& command) const {
  Query rows(*db_, "SELECT id FROM operations WHERE command = ? ORDER BY id");
  rows.bind(command);
  std::vector<std::int64_t> ids;
  while (rows.next()) ids.push_back(rows.integer(0));
  return ids;
}

OperationRecord Registry::running_operation(std::int64_t id) const {
  OperationRecord found = operation(id);
  if (found.outcome == Outcome::running) return found;
  throw Error("operation " + std::to_string(id) + " has ended already (" + std::string(to_string(found.outcome)) + ")");
}

void Registry::mark_interrupted_operations() {
  std::vector<std::pair<std::int64_t, std::string>> dead;
  {
    Query rows(*db_, "SELECT id, uid FROM operations WHERE outcome = 'running'");
    while (rows.next()) {
      if (!FileLock::is_held(lock_path(rows.text(1)))) dead.emplace_back(rows.integer(0), rows.text(1));
    }
  }
  if (dead.empty()) return;
  WriteTransaction transaction(*db_);
  // One that ended between our look and our lock has let go of its file too: end_operation passes it over.
  for (const auto& [id, uid] : dead) end_operation(id, Outcome::interrupted, "its process ended early", "");
  transaction.commit();
  std::error_code ignored;
  for (const auto& [id, uid] : dead) std::filesystem::remove(lock_path(uid), ignored);
}

}  // namespace mformer
