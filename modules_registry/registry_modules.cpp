#include <utility>

#include "modules_registry/database.h"
#include "modules_registry/error.h"
#include "modules_registry/manifest.h"
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
             "SELECT module_uid FROM version_modules JOIN revisions ON revisions.id = revision_id "
             "WHERE version_hash = ?");
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
  return row.next() && content_hash(manifest) == row.text(0) &&
         version_hash(manifest, row.text(1), row.text(2)) == hash;
}

Manifest Registry::read_manifest(const std::string& version_hash) const {
  Manifest manifest;
  Query head(*db_, "SELECT config_json, tokenizer_object FROM versions WHERE hash = ?");
  head.bind(version_hash);
  if (!head.next()) version(version_hash);  // throws: there is none
  manifest.config_json = head.text(0);
  manifest.tokenizer_object = head.text(1);

  Query parts(*db_, "SELECT name, object_hash FROM version_parts WHERE version_hash = ? ORDER BY position");
  parts.bind(version_hash);
  while (parts.next()) manifest.parts.push_back({parts.text(0), parts.text(1)});

  Query layers(*db_, "SELECT att_router, mlp_router FROM version_layers WHERE version_hash = ? ORDER BY layer");
  layers.bind(version_hash);
  while (layers.next()) {
    LayerManifest& layer = manifest.layers.emplace_back();
    layer.att_router = layers.text(0);
    layer.mlp_router = layers.text(1);
  }

  Query modules(*db_,
                "SELECT layer, kind, module_uid, object_hash, frozen FROM version_modules "
                "JOIN revisions ON revisions.id = revision_id WHERE version_hash = ? ORDER BY layer, kind, position");
  modules.bind(version_hash);
  while (modules.next()) {
    const auto number = static_cast<size_t>(modules.integer(0));
    if (number >= manifest.layers.size()) {
      throw Error("version " + version_hash + " lacks its layer " + modules.text(0), "mformer fsck says what is wrong");
    }
    LayerManifest& layer = manifest.layers[number];
    const Kind kind = kind_from_string(modules.text(1));
    layer.modules(kind).push_back({modules.text(2), modules.text(3), modules.integer(4) != 0});
  }
  return manifest;
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
                       "FROM version_modules JOIN revisions ON revisions.id = revision_id "
                       "JOIN modules ON modules.uid = module_uid WHERE version_hash = ? "
                       "ORDER BY version_modules.layer, version_modules.kind, position");
  rows.bind(version_hash);
  std::vector<ModuleRecord> found;
  while (rows.next()) found.push_back(read_module(rows));
  return found;
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
