#include <exception>
#include <functional>
#include <map>
#include <utility>

#include "modules_registry/database.h"
#include "modules_registry/error.h"
#include "modules_registry/manifest_rows.h"
#include "modules_registry/registry.h"
#include "modules_registry/schema.h"
#include "modules_registry/seals.h"
#include "modules_registry/write_ahead_log.h"

namespace mformer {

namespace {

using Problems = std::vector<std::string>;

/// Every row of the query is a problem, as the text of its first column.
void add_rows(Database& db, const std::string& sql, Problems& problems) {
  Query rows(db, sql);
  while (rows.next()) problems.push_back(rows.text(0));
}

void check_structure(Database& db, Problems& problems) {
  add_rows(db, "SELECT 'registry.db: ' || integrity_check FROM pragma_integrity_check WHERE integrity_check <> 'ok'",
           problems);
}

void check_references(Database& db, Problems& problems) {
  Query references(db, "PRAGMA foreign_key_check");
  while (references.next()) {
    problems.push_back("registry.db: a row of " + references.text(0) + " refers to a missing row of " +
                       references.text(2));
  }
}

using Schema = std::map<std::pair<std::string, std::string>, std::string>;

/// Statements that made the tables, indexes, views and triggers, by kind and name.
Schema schema_of(SQLite::Database& connection) {
  SQLite::Statement rows(connection,
                         "SELECT type, name, sql FROM main.sqlite_master WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'");
  Schema schema;
  while (rows.executeStep()) {
    schema[{rows.getColumn(0).getString(), rows.getColumn(1).getString()}] = rows.getColumn(2).getString();
  }
  return schema;
}

/// That of a new registry.
Schema expected_schema() {
  SQLite::Database fresh(":memory:", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
  fresh.exec(kMigrationsTable);
  for (const Migration& migration : migrations()) fresh.exec(std::string(migration.sql));
  return schema_of(fresh);
}

void check_schema(Database& db, Problems& problems) {
  const Schema expected = expected_schema();
  const Schema found = schema_of(db.connection());
  const auto add = [&](const Schema::key_type& name, const std::string& what) {
    problems.push_back("registry.db: the " + name.first + " " + name.second + what);
  };
  for (const auto& [name, sql] : expected) {
    const auto there = found.find(name);
    if (there == found.end()) add(name, " is missing");
    if (there != found.end() && there->second != sql) add(name, " is not as mformer made it");
  }
  for (const auto& [name, sql] : found) {
    if (!expected.contains(name)) add(name, " is not mformer's");
  }
}

/// Operations never go, so the next one's id follows the last.
void check_counter(Database& db, Problems& problems) {
  add_rows(db,
           "SELECT 'registry.db: the counter of operations does not fit the operations' "
           "WHERE (SELECT coalesce(max(id), 0) FROM operations) <> "
           "coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'operations'), 0)",
           problems);
}

void check_changes(const ChangeCount& count, const ChangeCount::Found& written, Database& db, Problems& problems) {
  const std::string file = "'" + count.file().string() + "'";
  if (written.state == ChangeCount::State::missing) {
    problems.push_back(file + " is missing: whether registry.db is the newest can't be told");
  } else if (written.state == ChangeCount::State::damaged) {
    problems.push_back(file + " is damaged: whether registry.db is the newest can't be told");
  }
  const auto seen = sealed_changes(db);  // a damaged seal is a problem of its own
  if (seen && *seen < written.changes) {
    problems.push_back("registry.db lacks the last " + std::to_string(written.changes - *seen) +
                       " changes that were written to it: it is an older copy, or its log was lost");
  }
}

void check_modules(Database& db, Problems& problems) {
  add_rows(db,
           "SELECT 'revision ' || child.id || ' of module ' || child.module_uid || ' has a parent of another module' "
           "FROM revisions AS child JOIN revisions AS parent ON parent.id = child.parent_id "
           "WHERE parent.module_uid <> child.module_uid OR parent.id >= child.id",
           problems);
  add_rows(db,
           "SELECT 'bank ' || banks.id || ' has module ' || uid || ' in a layer or kind that is not its own' "
           "FROM banks JOIN bank_modules ON bank_id = banks.id JOIN revisions ON revisions.id = revision_id "
           "JOIN modules ON uid = module_uid WHERE modules.kind <> banks.kind OR modules.layer <> banks.layer",
           problems);
  add_rows(db,
           "SELECT 'module ' || uid || ' has no weights' FROM modules "
           "WHERE NOT EXISTS (SELECT 1 FROM revisions WHERE module_uid = uid)",
           problems);
}

/// A version's hash covers the order of its parts and modules, but not their numbers, nor what no version has.
void check_manifest_rows(Database& db, Problems& problems) {
  add_rows(db,
           "SELECT 'version ' || hash || ' has gaps between its rows in version_parts' FROM version_parts "
           "JOIN versions ON versions.id = version_id GROUP BY version_id "
           "HAVING min(position) <> 0 OR max(position) <> count(*) - 1",
           problems);
  add_rows(db,
           "SELECT 'bank ' || bank_id || ' has gaps between its rows in bank_modules' FROM bank_modules "
           "GROUP BY bank_id HAVING min(position) <> 0 OR max(position) <> count(*) - 1",
           problems);
  add_rows(db,
           "SELECT 'bank ' || id || ' belongs to no version' FROM banks "
           "WHERE id NOT IN (SELECT bank_id FROM version_banks)",
           problems);
  add_rows(db,
           "SELECT 'part ' || id || ' belongs to no version' FROM parts "
           "WHERE id NOT IN (SELECT part_id FROM version_parts)",
           problems);
}

/// What is wrong with one object's file; "" if nothing.
std::string object_problem(const ObjectStore& store, const std::string& hash, std::int64_t size) {
  try {
    if (!store.contains(hash)) return "is missing";
    const std::int64_t found = store.size(hash);
    if (found != size) return "has " + std::to_string(found) + " bytes instead of " + std::to_string(size);
    return store.verify(hash) ? "" : "is damaged: its bytes have another hash";
  } catch (const Error& error) {
    return std::string("is unreadable: ") + error.what();
  }
}

/// Goes on after what can't be read.
void attempt(const std::string& what, Problems& problems, const std::function<void()>& check) {
  try {
    check();
  } catch (const StoppedError&) {
    throw;
  } catch (const std::exception& error) {
    problems.push_back(what + " can't be checked: " + error.what());
  }
}

std::vector<std::string> version_hashes(Database& db) {
  Query rows(db, "SELECT hash FROM versions ORDER BY created_ms, hash");
  std::vector<std::string> hashes;
  while (rows.next()) hashes.push_back(rows.text(0));
  return hashes;
}

}  // namespace

void Registry::check_rows(Problems& problems) const {
  const ChangeCount::Found written = db_->change_count().read();  // before the look at the rows: others may be writing
  const ReadTransaction one_view(*db_);
  attempt("the structure of registry.db", problems, [&] { check_structure(*db_, problems); });
  attempt("the tables of registry.db", problems, [&] { check_schema(*db_, problems); });
  attempt("the seals", problems, [&] {
    for (std::string& problem : broken_seals(*db_)) problems.push_back(std::move(problem));
  });
  attempt("the count of changes", problems, [&] { check_changes(db_->change_count(), written, *db_, problems); });
  attempt("references", problems, [&] { check_references(*db_, problems); });
  attempt("the counter of operations", problems, [&] { check_counter(*db_, problems); });
  attempt("modules", problems, [&] { check_modules(*db_, problems); });
  attempt("manifests", problems, [&] { check_manifest_rows(*db_, problems); });
  attempt("versions", problems, [&] {
    ManifestReader reader(*db_);
    const std::vector<std::string> hashes = version_hashes(*db_);
    for (std::size_t done = 0; const std::string& hash : hashes) {
      db_->require_going_on();
      tell("check versions", ++done, hashes.size());
      attempt("version " + hash, problems, [&] {
        if (has_manifest(hash, reader.read(hash))) return;
        problems.push_back("version " + hash + " does not have the manifest and parent that it was made with");
      });
    }
  });
}

std::map<std::string, std::string> Registry::broken_objects() const {
  std::vector<std::pair<std::string, std::int64_t>> objects;
  {
    Query rows(*db_, "SELECT hash, size_bytes FROM objects ORDER BY hash");
    while (rows.next()) objects.emplace_back(rows.text(0), rows.integer(1));
  }
  Query still_known(*db_, "SELECT 1 FROM objects WHERE hash = ? AND size_bytes = ?");
  std::map<std::string, std::string> problems;
  for (std::size_t done = 0; const auto& [hash, size] : objects) {
    db_->require_going_on();
    tell("read objects", ++done, objects.size());
    const std::string problem = object_problem(objects_, hash, size);
    // What another command has removed meanwhile is not missing.
    if (!problem.empty() && still_known.bind(hash, size).next()) problems[hash] = problem;
  }
  return problems;
}

std::vector<std::string> Registry::fsck() const {
  Problems problems;
  if (is_damaged_log(db_->file().string() + "-wal")) {
    problems.emplace_back("the log registry.db-wal is damaged: what its last commands wrote may be lost");
  }
  check_rows(problems);
  attempt("objects", problems, [&] {
    for (const auto& [hash, problem] : broken_objects()) problems.push_back("object " + hash + " " + problem);
  });
  return problems;
}

}  // namespace mformer
