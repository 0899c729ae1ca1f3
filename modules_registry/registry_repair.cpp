#include <algorithm>
#include <functional>
#include <system_error>
#include <utility>

#include "modules_registry/database.h"
#include "modules_registry/error.h"
#include "modules_registry/registry.h"
#include "modules_registry/seals.h"

namespace mformer {

namespace {

namespace fs = std::filesystem;

/// The good copy of an object below `source`, however much of the path to it was named; empty if there is none.
fs::path good_copy(const fs::path& source, const std::string& hash) {
  for (const char* folder : {".mformer/objects", "objects", "."}) {
    fs::path file = source / folder / hash.substr(0, 2) / hash;
    std::error_code missing;
    if (fs::is_regular_file(file, missing) && sha256_file(file) == hash) return file;
  }
  return {};
}

constexpr std::int64_t kLeftoverAgeMs = 60 * 60 * 1000;

/// A source that is none is a slip, and would only show as objects that stay broken.
void require_objects_in(const fs::path& source) {
  for (const char* folder : {".mformer/objects", "objects", "."}) {
    if (!ObjectStore(source / folder).list().empty()) return;
  }
  throw UsageError("there are no objects in '" + source.string() + "'",
                   "name a copy of the workspace, or its .mformer or objects folder");
}

bool restore_object(ObjectStore& store, const std::string& hash, const std::vector<fs::path>& sources,
                    std::vector<std::string>& healed) {
  for (const fs::path& source : sources) {
    const fs::path file = good_copy(source, hash);
    if (file.empty()) continue;
    const std::string bytes = read_file(file);
    if (store.put(as_bytes(bytes)) != hash) continue;  // changed since the look at it
    healed.push_back("object " + hash + " was restored from '" + file.string() + "'");
    return true;
  }
  return false;
}

/// Rows that follow from others, or from files.
void heal_rows(Database& db, const ObjectStore& store, const std::vector<std::string>& broken,
               std::vector<std::string>& healed) {
  WriteTransaction transaction(db);
  release_seals(db);  // which are of the rows as they were
  Query size(db, "UPDATE objects SET size_bytes = ?2 WHERE hash = ?1 AND size_bytes <> ?2");
  for (const std::string& hash : broken) {
    if (store.verify(hash) && size.bind(hash, store.size(hash)).run() > 0) {
      healed.push_back("object " + hash + ": its size was written down anew");
    }
  }
  const int counted =
      Query(db,
            "UPDATE sqlite_sequence SET seq = (SELECT max(id) FROM operations) WHERE name = 'operations' "
            "AND seq <> (SELECT max(id) FROM operations)")
          .run();
  if (counted > 0) healed.emplace_back("the counter of operations was set to the last one");
  keep_seals(db);
  transaction.commit();
}

bool has_broken_index(Database& db) {
  Query row(db, "SELECT 1 FROM pragma_integrity_check WHERE integrity_check LIKE '%index%' LIMIT 1");
  return row.next();
}

void heal_indexes(Database& db, std::vector<std::string>& healed) {
  WriteTransaction transaction(db);
  if (!has_broken_index(db)) return;
  db.script("REINDEX");
  transaction.commit();
  healed.emplace_back("the indexes of registry.db were made anew");
}

/// Writes down what is in the way, and goes on with the rest.
void try_to_heal(const std::string& what, std::vector<std::string>& failed, const std::function<void()>& heal) {
  try {
    heal();
  } catch (const StoppedError&) {
    throw;
  } catch (const Error& error) {
    failed.push_back(what + " can't be healed: " + error.what());
  }
}

}  // namespace

RepairResult Registry::repair(const RepairOptions& options) {
  for (const fs::path& source : options.sources) require_objects_in(source);
  RepairResult result;
  std::vector<std::string> broken;
  try_to_heal("objects", result.left, [&] { broken = restore_objects(options.sources, result.healed); });
  try_to_heal("rows", result.left, [&] { heal_rows(*db_, objects_, broken, result.healed); });
  try_to_heal("indexes", result.left, [&] { heal_indexes(*db_, result.healed); });
  try_to_heal("leftovers", result.left, [&] {
    const GcResult swept = sweep(folder_, false, kLeftoverAgeMs);
    if (swept.temporaries == 0) return;
    result.healed.push_back(std::to_string(swept.temporaries) + " unfinished files of killed commands were removed");
  });
  try_to_heal("seals", result.left, [&] {
    if (options.reseal) {
      reseal();
      result.healed.emplace_back("all rows were taken as they are");
    } else if (db_->change_count().read().state != ChangeCount::State::known) {
      db_->note_commit();
      result.healed.emplace_back("the count of changes was written anew");
    }
  });
  for (std::string& problem : fsck()) result.left.push_back(std::move(problem));
  return result;
}

/// Returns those that are still broken, or whose row is.
std::vector<std::string> Registry::restore_objects(const std::vector<fs::path>& sources,
                                                   std::vector<std::string>& healed) {
  std::vector<std::string> broken;
  for (const auto& [hash, problem] : broken_objects()) {
    if (objects_.verify(hash) || !restore_object(objects_, hash, sources, healed)) broken.push_back(hash);
  }
  objects_.flush();
  return broken;
}

void Registry::reseal() {
  WriteTransaction transaction(*db_);
  const std::int64_t written = db_->change_count().read().changes;
  make_seals(*db_, 1 + std::max(written, sealed_changes(*db_).value_or(0)));
  transaction.commit();
}

}  // namespace mformer
