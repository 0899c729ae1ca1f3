#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "modules_registry/database.h"
#include "modules_registry/records.h"

namespace mformer {

// How manifests lie in the tables. Inside modules_registry only.

/// The modules of one layer and kind: one row of `banks` with its rows of `bank_modules`. Versions that have the same
/// share it.
struct StoredBank {
  std::int64_t id = 0;
  std::vector<std::int64_t> revisions;  ///< of the modules, in their order
  std::vector<ManifestModule> modules;
};

/// The banks of a version by layer and kind; the order is that of the manifest.
using StoredBanks = std::map<std::pair<int, Kind>, StoredBank>;

/// Reads manifests. One that reads several versions reads a bank that they share once.
class ManifestReader {
 public:
  explicit ManifestReader(Database& db) : db_(db) {}

  /// Throws Error if a layer is missing; of an unknown version, nothing at all.
  Manifest read(const std::string& version);

  /// Empty of a version that is unknown or "".
  StoredBanks banks(const std::string& version);

 private:
  const StoredBank& bank(std::int64_t id);

  Database& db_;
  std::map<std::int64_t, StoredBank> known_;  ///< of the versions read last
  Query head_{db_, "SELECT id, config_json, tokenizer_object FROM versions WHERE hash = ?"};
  Query parts_{db_,
               "SELECT name, hash FROM version_parts JOIN parts ON parts.id = part_id "
               "JOIN objects ON objects.id = object_id WHERE version_id = ? ORDER BY position"};
  Query banks_{db_,
               "SELECT layer, kind, bank_id, objects.hash FROM versions JOIN version_banks ON version_id = versions.id "
               "JOIN banks ON banks.id = bank_id LEFT JOIN objects ON objects.id = router_id "
               "WHERE versions.hash = ? ORDER BY layer, kind"};
  Query modules_{db_,
                 "SELECT revision_id, module_uid, object_hash, frozen FROM bank_modules "
                 "JOIN revisions ON revisions.id = revision_id WHERE bank_id = ? ORDER BY position"};
};

}  // namespace mformer
