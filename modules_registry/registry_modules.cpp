#include <utility>

#include "modules_registry/database.h"
#include "modules_registry/error.h"
#include "modules_registry/manifest.h"
#include "modules_registry/manifest_rows.h"
#include "modules_registry/registry.h"

namespace mformer {

namespace {

ModuleRecord read_module(Query& row) {
  ModuleRecord module;
  module.uid = row.text(0);
  module.kind = kind_from_string(row.text(1));
  module.layer = static_cast<int>(row.integer(2));
  module.born_operation = row.integer(3);
  module.born_command = row.text(4);
  module.born_task = row.text(5);
  module.copied_from = row.text(6);
  module.created_ms = row.integer(7);
  return module;
}

constexpr const char* kModuleColumns =
    "modules.uid, modules.kind, modules.layer, born_operation, born_command, born_task, copied_from, "
    "modules.created_ms ";

std::set<std::string> uids_of(Database& db, const std::string& version) {
  Query rows(db,
             "SELECT module_uid FROM versions JOIN version_banks ON version_id = versions.id "
             "JOIN bank_modules USING (bank_id) JOIN revisions ON revisions.id = revision_id WHERE hash = ?");
  rows.bind(version);
  std::set<std::string> uids;
  while (rows.next()) uids.insert(rows.text(0));
  return uids;
}

}  // namespace

Manifest Registry::manifest(const std::string& version_hash) const {
  const Manifest found = read_manifest(version_hash);
  if (has_manifest(version_hash, found)) return found;
  throw Error("version " + version_hash + " is damaged: its rows in the registry are not those that it was made with",
              "mformer fsck says what is wrong");
}

bool Registry::has_manifest(const std::string& hash, const Manifest& manifest) const {
  Query row(*db_,
            "SELECT content_hash, parent_hash, uid FROM versions JOIN operations ON operations.id = operation_id "
            "WHERE hash = ?");
  row.bind(hash);
  if (!row.next()) return false;
  const ManifestHashes hashes = manifest_hashes(manifest, row.text(1), row.text(2));
  return hashes.content == row.text(0) && hashes.version == hash;
}

Manifest Registry::read_manifest(const std::string& version_hash) const {
  version(version_hash);  // throws if unknown
  return ManifestReader(*db_).read(version_hash);
}

ModuleRecord Registry::module(const std::string& uid) const {
  Query row(*db_, std::string("SELECT ") + kModuleColumns + "FROM modules WHERE uid = ?");
  row.bind(uid);
  if (row.next()) return read_module(row);
  throw UsageError("there is no module '" + uid + "'", "mformer inspect modules lists the modules");
}

std::vector<ModuleRecord> Registry::modules(const std::string& version_hash) const {
  version(version_hash);  // throws if unknown
  Query rows(*db_, std::string("SELECT ") + kModuleColumns +
                       "FROM versions JOIN version_banks ON version_id = versions.id "
                       "JOIN banks ON banks.id = bank_id JOIN bank_modules USING (bank_id) "
                       "JOIN revisions ON revisions.id = revision_id JOIN modules ON modules.uid = module_uid "
                       "WHERE versions.hash = ? ORDER BY banks.layer, banks.kind, position");
  rows.bind(version_hash);
  std::vector<ModuleRecord> found;
  while (rows.next()) found.push_back(read_module(rows));
  return found;
}

std::vector<std::string> Registry::modules_that_begin(const std::string& prefix, int limit) const {
  // 'g' is the letter after the last hexadecimal digit.
  Query rows(*db_, "SELECT uid FROM modules WHERE uid >= ?1 AND uid < ?1 || 'g' ORDER BY uid LIMIT ?2");
  rows.bind(prefix, limit);
  std::vector<std::string> uids;
  while (rows.next()) uids.push_back(rows.text(0));
  return uids;
}

std::vector<Revision> Registry::revisions(const std::string& uid) const {
  module(uid);  // throws if unknown
  Query rows(*db_,
             "SELECT id, module_uid, object_hash, parent_id, operation_id, created_ms FROM revisions "
             "WHERE module_uid = ? ORDER BY id");
  rows.bind(uid);
  std::vector<Revision> found;
  while (rows.next()) {
    found.push_back({rows.integer(0), rows.text(1), rows.text(2), rows.integer(3), rows.integer(4), rows.integer(5)});
  }
  return found;
}

std::set<std::string> Registry::born_after(const std::string& earlier, const std::string& later) const {
  version(earlier);  // both throw if unknown
  version(later);
  std::set<std::string> uids = uids_of(*db_, later);
  for (const std::string& uid : uids_of(*db_, earlier)) uids.erase(uid);
  return uids;
}

}  // namespace mformer
