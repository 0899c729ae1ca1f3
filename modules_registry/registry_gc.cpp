#include <algorithm>
#include <chrono>
#include <functional>
#include <string_view>
#include <system_error>
#include <unordered_set>

#include "modules_registry/database.h"
#include "modules_registry/error.h"
#include "modules_registry/registry.h"
#include "modules_registry/seals.h"

namespace mformer {

namespace {

namespace fs = std::filesystem;
using Time = fs::file_time_type;

/// Files last written before this are nobody's: not of somebody who began within the grace, nor of an operation that
/// still runs.
Time nobody_since(const fs::path& locks, std::int64_t grace_ms) {
  Time limit = Time::clock::now() - std::chrono::milliseconds(grace_ms);
  std::error_code error;
  for (const auto& lock : fs::directory_iterator(locks, error)) {
    if (!FileLock::is_held(lock.path())) continue;
    const Time begun = fs::last_write_time(lock.path(), error);
    if (!error) limit = std::min(limit, begun);
  }
  return limit;
}

/// Removes files, or only counts them.
class Collector {
 public:
  Collector(Time limit, bool dry_run, GcResult& result) : limit_(limit), dry_run_(dry_run), result_(result) {}

  bool may_go(const fs::path& file) const {
    std::error_code error;
    const Time written = fs::last_write_time(file, error);
    return !error && written < limit_;
  }

  void collect(const fs::path& file, std::int64_t& count) {
    std::error_code error;
    const auto size = fs::file_size(file, error);
    if (error || !may_go(file) || (dry_run_ ? FileLock::is_held(file) : !FileLock::remove_if_free(file))) return;
    ++count;
    result_.bytes += static_cast<std::int64_t>(size);
  }

 private:
  Time limit_;
  bool dry_run_;
  GcResult& result_;
};

bool is_temporary(const fs::path& file) {
  return file.filename().string().starts_with(kTemporaryPrefix);
}

void for_each_file_below(const fs::path& folder, const std::function<void(const fs::path&)>& take) {
  std::error_code error;
  std::vector<fs::path> files;  // listed first: entries that go while a folder is read may hide others
  for (auto entry = fs::recursive_directory_iterator(folder, fs::directory_options::skip_permission_denied, error);
       !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    std::error_code gone;
    if (entry->is_regular_file(gone)) files.push_back(entry->path());
  }
  for (const fs::path& file : files) take(file);
}

/// Whoever writes a file for long keeps it locked meanwhile.
void collect_leftovers(const fs::path& folder, std::string_view locks, Collector& collector, GcResult& result) {
  for_each_file_below(folder, [&](const fs::path& file) {
    const bool is_lock = file.parent_path() == folder / locks;
    if (is_lock || is_temporary(file)) collector.collect(file, result.temporaries);
  });
}

std::unordered_set<std::string> known_objects(Database& db, const std::string& table) {
  Query rows(db, "SELECT hash FROM " + table);
  std::unordered_set<std::string> hashes;
  while (rows.next()) hashes.insert(rows.text(0));
  return hashes;
}

bool has_versions(Database& db) {
  Query row(db, "SELECT 1 FROM versions LIMIT 1");
  return row.next();
}

}  // namespace

void Registry::require_sealed_rows() const {
  const ReadTransaction one_view(*db_);
  if (broken_seals(*db_).empty()) return;
  throw Error("the registry '" + db_->file().string() +
                  "' is damaged, so nothing was removed: rows that name objects may be lost",
              "mformer fsck says what is wrong");
}

GcResult Registry::gc(bool dry_run, std::int64_t grace_ms) {
  objects_.flush();
  require_sealed_rows();
  GcResult result;
  free_removed(dry_run, grace_ms, result);  // rows before files: a file goes only after nothing names it
  // The write lock keeps commits out, so that no file is removed between a commit's look at it and its rows.
  std::optional<WriteTransaction> transaction;
  if (!dry_run) transaction.emplace(*db_);
  Collector collector(nobody_since(lock_path(""), grace_ms), dry_run, result);
  const auto known = known_objects(*db_, dry_run && result.versions > 0 ? "temp.kept_objects" : "objects");
  std::vector<fs::path> unused;
  const std::vector<std::string> stored = objects_.list();
  for (std::size_t done = 0; const std::string& hash : stored) {
    tell("look for unused objects", ++done, stored.size());
    if (!known.contains(hash) && collector.may_go(objects_.path(hash))) unused.push_back(objects_.path(hash));
  }
  if (!unused.empty() && !has_versions(*db_)) {
    throw Error("no version names any of the objects in '" + objects_.root().string() +
                    "': the registry may have lost its rows, so nothing was removed",
                "put back registry.db from a copy of the workspace (docs/registry.md); if there was no model yet, make "
                "one with mformer init: gc works then");
  }
  for (const fs::path& file : unused) collector.collect(file, result.objects);
  collect_leftovers(folder_, "running", collector, result);
  return result;
}

GcResult Registry::sweep(const fs::path& dir, bool dry_run, std::int64_t grace_ms) {
  const fs::path folder = dir.filename() == ".mformer" ? dir : dir / ".mformer";
  GcResult result;
  Collector collector(nobody_since(folder / "running", grace_ms), dry_run, result);
  collect_leftovers(folder, "running", collector, result);
  return result;
}

}  // namespace mformer
