#include <algorithm>
#include <cerrno>
#include <chrono>
#include <functional>
#include <string_view>
#include <system_error>
#include <unordered_set>

#include "modules_registry/database.h"
#include "modules_registry/error.h"
#include "modules_registry/files.h"
#include "modules_registry/registry.h"
#include "modules_registry/seals.h"

namespace mformer {

namespace {

namespace fs = std::filesystem;
using Time = fs::file_time_type;

/// Removes files, or only counts them. Lives while claims hold: see ClaimLock.
class Collector {
 public:
  Collector(const fs::path& folder, std::int64_t grace_ms, bool dry_run, GcResult& result)
      : lock_(folder / "objects", ClaimLock::Mode::alone),
        claims_(live_claims(folder / "running")),
        grace_(Time::clock::now() - std::chrono::milliseconds(grace_ms)),
        dry_run_(dry_run),
        result_(result) {}

  /// Of what no operation claims, all but objects: last written neither within the grace nor since the oldest
  /// operation that still runs began.
  bool may_go(const fs::path& file) const { return written(file) < std::min(grace_, claims_.oldest); }

  /// Of an object, or an unfinished one of this hash.
  bool object_may_go(const fs::path& file, const std::string& hash) const {
    return !claims_.objects.contains(hash) && written(file) < grace_;
  }

  void collect(const fs::path& file, std::int64_t& count) {
    std::error_code error;
    const auto size = fs::file_size(file, error);
    if (error || (dry_run_ ? FileLock::is_held(file) : !FileLock::remove_if_free(file))) return;
    ++count;
    result_.bytes += static_cast<std::int64_t>(size);
  }

 private:
  static Time written(const fs::path& file) {
    std::error_code error;
    const Time time = fs::last_write_time(file, error);
    return error ? Time::max() : time;
  }

  ClaimLock lock_;
  LiveClaims claims_;
  Time grace_;
  bool dry_run_;
  GcResult& result_;
};

bool is_temporary(const fs::path& file) {
  return file.filename().string().starts_with(kTemporaryPrefix);
}

void for_each_file_below(const fs::path& folder, const std::function<bool(const fs::path&)>& is_wanted,
                         const std::function<void(const fs::path&)>& take) {
  std::error_code error;
  std::vector<fs::path> files;  // listed first: entries that go while a folder is read may hide others
  for (auto entry = fs::recursive_directory_iterator(folder, fs::directory_options::skip_permission_denied, error);
       !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    std::error_code gone;
    if (is_wanted(entry->path()) && entry->is_regular_file(gone)) files.push_back(entry->path());
  }
  for (const fs::path& file : files) take(file);
}

/// Whoever writes a file for long keeps it locked meanwhile, but for objects, which are claimed.
void collect_leftovers(const fs::path& folder, std::string_view locks, Collector& collector, GcResult& result) {
  const std::string objects = (folder / "objects" / "").string();
  const fs::path lock_folder = folder / locks;
  const auto may_be_left = [&](const fs::path& file) {
    return is_temporary(file) || file.parent_path() == lock_folder;
  };
  for_each_file_below(folder, may_be_left, [&](const fs::path& file) {
    const bool is_object = file.string().starts_with(objects);
    const std::string hash = file.filename().string().substr(std::string_view(kTemporaryPrefix).size()).substr(0, 64);
    if (is_object ? collector.object_may_go(file, hash) : collector.may_go(file)) {
      collector.collect(file, result.temporaries);
    }
  });
}

/// The folders of objects: each has those whose hashes begin with its name, so that all can be looked at one folder
/// after the other, and no more than one is in memory.
std::vector<fs::path> folders_of(const fs::path& objects) {
  std::error_code error;
  std::vector<fs::path> folders;
  for (fs::directory_iterator entry(objects, error); !error && entry != fs::directory_iterator();
       entry.increment(error)) {
    std::error_code gone;
    if (entry->is_directory(gone)) folders.push_back(entry->path());
  }
  if (error && error.value() != ENOENT) throw_file_error("list", objects, error.value());
  std::sort(folders.begin(), folders.end());
  return folders;
}

std::vector<std::string> objects_in(const fs::path& folder) {
  const std::string prefix = folder.filename().string();
  std::error_code error;
  std::vector<std::string> hashes;
  for (fs::directory_iterator entry(folder, error); !error && entry != fs::directory_iterator();
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    const bool is_hash = name.size() == 64 && name.find_first_not_of("0123456789abcdef") == std::string::npos;
    if (is_hash && name.starts_with(prefix)) hashes.push_back(name);
  }
  if (error) throw_file_error("list", folder, error.value());
  std::sort(hashes.begin(), hashes.end());
  return hashes;
}

/// Those that begin so.
std::unordered_set<std::string> known_objects(Database& db, const std::string& table, const std::string& prefix) {
  Query rows(db, "SELECT hash FROM " + table + " WHERE hash >= ?1 AND hash < ?1 || 'g'");
  rows.bind(prefix);
  std::unordered_set<std::string> hashes;
  while (rows.next()) hashes.insert(rows.text(0));
  return hashes;
}

[[noreturn]] void fail_without_versions(const fs::path& objects) {
  throw Error("no version names any of the objects in '" + objects.string() +
                  "': the registry may have lost its rows, so nothing was removed",
              "put back registry.db from a copy of the workspace (docs/registry.md); if there was no model yet, make "
              "one with mformer init: gc works then");
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
  Collector collector(folder_, grace_ms, dry_run, result);
  const std::string table = dry_run && result.versions > 0 ? "temp.kept_objects" : "objects";
  const std::vector<fs::path> folders = folders_of(objects_.root());
  const bool is_empty = !has_versions(*db_);
  for (std::size_t done = 0; const fs::path& folder : folders) {
    tell("look for unused objects", ++done, folders.size());
    const auto known = known_objects(*db_, table, folder.filename().string());
    for (const std::string& hash : objects_in(folder)) {
      if (known.contains(hash) || !collector.object_may_go(folder / hash, hash)) continue;
      if (is_empty) fail_without_versions(objects_.root());
      collector.collect(folder / hash, result.objects);
    }
  }
  result.object_bytes = result.bytes;
  collect_leftovers(folder_, "running", collector, result);
  return result;
}

GcResult Registry::sweep(const fs::path& dir, bool dry_run, std::int64_t grace_ms) {
  const fs::path folder = dir.filename() == ".mformer" ? dir : dir / ".mformer";
  GcResult result;
  Collector collector(folder, grace_ms, dry_run, result);
  collect_leftovers(folder, "running", collector, result);
  return result;
}

}  // namespace mformer
