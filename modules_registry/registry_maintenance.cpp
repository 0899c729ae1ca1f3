#include <chrono>
#include <exception>
#include <system_error>
#include <unordered_set>

#include "modules_registry/database.h"
#include "modules_registry/error.h"
#include "modules_registry/manifest.h"
#include "modules_registry/registry.h"

namespace mformer {

namespace {

namespace fs = std::filesystem;
using Problems = std::vector<std::string>;

/// The file's size if it is at least this old, else nothing (also if it has gone meanwhile).
std::optional<std::int64_t> size_if_older(const fs::path& file, std::int64_t age_ms) {
  std::error_code error;
  const auto written = fs::last_write_time(file, error);
  if (error || fs::file_time_type::clock::now() - written < std::chrono::milliseconds(age_ms)) return std::nullopt;
  const auto size = fs::file_size(file, error);
  if (error) return std::nullopt;
  return static_cast<std::int64_t>(size);
}

std::unordered_set<std::string> known_objects(Database& db) {
  Query rows(db, "SELECT hash FROM objects");
  std::unordered_set<std::string> hashes;
  while (rows.next()) hashes.insert(rows.text(0));
  return hashes;
}

/// Every row of the query is a problem, as the text of its first column.
void add_rows(Database& db, const std::string& sql, Problems& problems) {
  Query rows(db, sql);
  while (rows.next()) problems.push_back(rows.text(0));
}

void check_database(Database& db, Problems& problems) {
  Query integrity(db, "PRAGMA integrity_check");
  while (integrity.next()) {
    if (integrity.text(0) != "ok") problems.push_back("registry.db: " + integrity.text(0));
  }
  Query references(db, "PRAGMA foreign_key_check");
  while (references.next()) {
    problems.push_back("registry.db: a row of " + references.text(0) + " refers to a missing row of " +
                       references.text(2));
  }
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

void check_objects(Database& db, const ObjectStore& store, Problems& problems) {
  Query rows(db, "SELECT hash, size_bytes FROM objects ORDER BY hash");
  while (rows.next()) {
    const std::string problem = object_problem(store, rows.text(0), rows.integer(1));
    if (!problem.empty()) problems.push_back("object " + rows.text(0) + " " + problem);
  }
}

void check_modules(Database& db, Problems& problems) {
  add_rows(db,
           "SELECT 'revision ' || child.id || ' of module ' || child.module_uid || ' has a parent of another module' "
           "FROM revisions AS child JOIN revisions AS parent ON parent.id = child.parent_id "
           "WHERE parent.module_uid <> child.module_uid OR parent.id >= child.id",
           problems);
  add_rows(db,
           "SELECT 'version ' || version_hash || ' has module ' || uid || ' in a layer or kind that is not its own' "
           "FROM version_modules AS place JOIN revisions ON revisions.id = revision_id "
           "JOIN modules ON uid = module_uid WHERE modules.kind <> place.kind OR modules.layer <> place.layer",
           problems);
  add_rows(db,
           "SELECT 'module ' || uid || ' has no weights' FROM modules "
           "WHERE NOT EXISTS (SELECT 1 FROM revisions WHERE module_uid = uid)",
           problems);
}

}  // namespace

GcResult Registry::gc(bool dry_run, std::int64_t grace_ms) {
  objects_.flush();
  // The write lock keeps commits out, so that no file is removed between a commit's look at it and its rows.
  std::optional<WriteTransaction> transaction;
  if (!dry_run) transaction.emplace(*db_);
  GcResult result;
  const auto collect = [&](const fs::path& file, std::int64_t& count) {
    const auto size = size_if_older(file, grace_ms);
    if (!size) return;
    std::error_code error;
    if (!dry_run && !fs::remove(file, error) && error) throw_file_error("remove", file, error.value());
    ++count;
    result.bytes += *size;
  };
  const auto known = known_objects(*db_);
  for (const std::string& hash : objects_.list()) {
    if (!known.contains(hash)) collect(objects_.path(hash), result.objects);
  }
  for (const fs::path& file : objects_.temporaries()) collect(file, result.temporaries);
  std::error_code no_folder;
  for (const auto& lock : fs::directory_iterator(lock_path(""), no_folder)) {
    if (!FileLock::is_held(lock.path())) collect(lock.path(), result.temporaries);
  }
  return result;
}

std::vector<std::string> Registry::fsck() const {
  Problems problems;
  try {
    check_database(*db_, problems);
    check_objects(*db_, objects_, problems);
    check_modules(*db_, problems);
    Query rows(*db_,
               "SELECT hash, content_hash, parent_hash, uid FROM versions "
               "JOIN operations ON operations.id = operation_id");
    while (rows.next()) {
      const Manifest found = manifest(rows.text(0));
      const bool same =
          content_hash(found) == rows.text(1) && version_hash(found, rows.text(2), rows.text(3)) == rows.text(0);
      if (!same)
        problems.push_back("version " + rows.text(0) + " does not have the manifest and parent that it was made with");
    }
  } catch (const std::exception& error) {
    problems.emplace_back(error.what());  // too damaged to read on
  }
  return problems;
}

}  // namespace mformer
