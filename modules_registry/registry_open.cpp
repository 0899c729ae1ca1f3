#include <unistd.h>

#include <system_error>
#include <utility>

#include "modules_registry/database.h"
#include "modules_registry/error.h"
#include "modules_registry/registry.h"
#include "modules_registry/schema.h"
#include "modules_registry/seals.h"
#include "modules_registry/write_ahead_log.h"

namespace mformer {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFolder = ".mformer";
constexpr std::string_view kDatabase = "registry.db";
constexpr std::string_view kObjects = "objects";
constexpr std::string_view kRunning = "running";
constexpr int kPathsAreRelative = 4;     // the migrations since which they are
constexpr int kManifestsShareBanks = 6;  // and do

fs::path registry_folder(const fs::path& dir) {
  std::error_code error;
  if (dir.filename() == kFolder && fs::exists(dir / kDatabase, error)) return dir;
  return dir / kFolder;
}

bool has_objects(const fs::path& folder) {
  std::error_code missing;
  return !fs::is_empty(folder / kObjects, missing) && !missing;
}

void make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw_file_error("create", folder, error.value());
}

/// Number of the last migration applied; 0 for an empty database.
int applied_schema(Database& db) {
  Query table(db, "SELECT 1 FROM sqlite_master WHERE name = 'schema_migrations'");
  if (!table.next()) return 0;
  Query last(db, "SELECT max(number) FROM schema_migrations");
  return last.next() ? static_cast<int>(last.integer(0)) : 0;
}

bool is_sealed(Database& db) {
  Query table(db, "SELECT 1 FROM sqlite_master WHERE name = 'seals'");
  return table.next();
}

int newest_schema() {
  return migrations().back().number;
}

void refuse_newer_schema(int applied, const fs::path& folder) {
  if (applied <= newest_schema()) return;
  throw Error("the workspace '" + folder.string() + "' was written by a newer mformer (schema " +
                  std::to_string(applied) + "; this one knows up to " + std::to_string(newest_schema()) + ")",
              "update mformer; nothing was changed");
}

/// After a migration that left most of the file empty. Where there is no space for it, the file stays as long as it is.
void give_back_space(Database& db) {
  try {
    db.script("VACUUM");
  } catch (const Error&) {  // nothing depends on it
  }
}

constexpr const char* kRestore =
    "put back registry.db, and registry.db-wal if there is one, from a copy of the workspace (docs/registry.md), or "
    "take "
    "what is left: mformer fsck --repair --reseal";

[[noreturn]] void fail_without_rows(const fs::path& folder, std::size_t objects) {
  throw Error("the registry '" + (folder / kDatabase).string() + "' is gone or empty, but " +
                  (objects == 0 ? "it had been written to" : std::to_string(objects) + " objects of it are there"),
              "put back registry.db, and registry.db-wal if there is one, from a copy of the workspace "
              "(docs/registry.md); keep objects/ until then");
}

void refuse_damaged_log(const fs::path& database) {
  if (!is_damaged_log(database.string() + "-wal")) return;
  throw Error(
      "the log of the registry '" + database.string() + "' is damaged: what its last commands wrote may be lost",
      "put it back from a copy (docs/registry.md), or go on with what is left: mformer fsck --repair, which says "
      "whether anything is lost");
}

/// SQLite drops what it can't read of a damaged log, and then the log: somebody may want to look at it.
void keep_damaged_log(const fs::path& database) {
  const std::string log = database.string() + "-wal";
  std::error_code error;
  if (is_damaged_log(log)) fs::copy_file(log, log + ".damaged-" + random_uid(), error);
  if (error) throw_file_error("copy", log, error.value());
}

}  // namespace

Registry::Registry(fs::path folder, std::unique_ptr<Database> db)
    : folder_(std::move(folder)), db_(std::move(db)), objects_(folder_ / kObjects) {}

Registry::Registry(Registry&&) noexcept = default;
Registry& Registry::operator=(Registry&&) noexcept = default;
Registry::~Registry() = default;

Registry Registry::create(const fs::path& dir) {
  const fs::path folder = dir / kFolder;
  make_folder(folder / kObjects);
  make_folder(folder / kRunning);
  Registry registry(folder, std::make_unique<Database>(folder / kDatabase, Database::Mode::create));
  // A creation killed halfway left an empty database: this one completes it.
  if (registry.migrate() != 0) {
    throw Error("there is a workspace already: '" + folder.string() + "'",
                "use it as it is, or choose another folder with --workspace");
  }
  keep_seals(*registry.db_);
  return registry;
}

Registry Registry::open(const fs::path& dir, OpenMode mode) {
  const fs::path folder = registry_folder(dir);
  const fs::path database = folder / kDatabase;
  std::error_code error;
  if (!fs::exists(database, error)) {
    const std::size_t objects = ObjectStore(folder / kObjects).list().size();
    if (objects > 0) fail_without_rows(folder, objects);
    throw Error("there is no workspace in '" + dir.string() + "'",
                "make one with mformer init, or name one with --workspace");
  }
  if (mode == OpenMode::read_only) {
    Registry registry(folder, std::make_unique<Database>(database, Database::Mode::read_only));
    registry.require_current_schema();
    return registry;
  }
  if (::access(folder.c_str(), W_OK) != 0) {
    throw Error("the workspace '" + folder.string() + "' is read-only for this user",
                "check its permissions, or copy it to a folder that you can write to");
  }
  make_folder(folder / kRunning);
  if (mode == OpenMode::repair) {
    keep_damaged_log(database);
  } else {
    refuse_damaged_log(database);
  }
  Registry registry(folder, std::make_unique<Database>(database, Database::Mode::read_write));
  const ChangeCount::Found written = registry.db_->change_count().read();  // first: others may be writing
  registry.migrate();
  if (mode == OpenMode::read_write) {
    registry.require_all_changes(written);
    registry.db_->note_commit();  // the last one's process may have been killed before it could
  }
  keep_seals(*registry.db_);
  try {
    registry.mark_interrupted_operations();
  } catch (const NoSpaceError&) {
    // Readers show them as interrupted all the same, and gc must be able to make space.
  }
  return registry;
}

std::optional<fs::path> Registry::find(const fs::path& start) {
  std::error_code error;
  for (fs::path dir = fs::absolute(start).lexically_normal();; dir = dir.parent_path()) {
    if (fs::exists(dir / kFolder / kDatabase, error) || has_objects(dir / kFolder)) return dir;
    if (dir == dir.parent_path()) return std::nullopt;
  }
}

/// Refuses to go on where commands were lost: what is written on top would make the loss final.
void Registry::require_all_changes(const ChangeCount::Found& written) const {
  const std::optional<std::int64_t> seen = sealed_changes(*db_);
  if (!seen) {
    throw Error("a seal of the registry '" + db_->file().string() + "' is damaged", "mformer fsck says what is wrong");
  }
  if (written.state == ChangeCount::State::known && *seen < written.changes) {
    throw Error("the registry '" + db_->file().string() + "' lacks the last " +
                    std::to_string(written.changes - *seen) +
                    " changes that were written to it: it is an older copy, or its log was lost",
                kRestore);
  }
}

/// Applies what is missing, in one transaction with its record. Returns the schema number from before.
int Registry::migrate() {
  const int seen = applied_schema(*db_);
  refuse_newer_schema(seen, folder_);
  if (seen == newest_schema()) return seen;
  const UncheckedReferences unchecked(*db_);  // tables that others refer to may be made anew
  WriteTransaction transaction(*db_);
  const int before = applied_schema(*db_);  // again, under the lock: another process may have been faster
  refuse_newer_schema(before, folder_);
  if (before == 0) require_nothing_lost();
  if (before > 0) require_nobody_at_work();
  const bool has_seals = is_sealed(*db_);
  if (const auto broken = has_seals ? broken_seals(*db_) : std::vector<std::string>(); !broken.empty()) {
    // fsck reads registries of today: it could not say it.
    throw Error(
        "the registry '" + db_->file().string() + "' is damaged and can't be brought up to date: " + broken.front(),
        "put back registry.db from a copy (docs/registry.md); or the mformer that wrote it takes the rows as "
        "they are: mformer fsck --repair --reseal");
  }
  db_->script(kMigrationsTable);
  Query record(*db_, "INSERT INTO schema_migrations (number, name, applied_ms) VALUES (?, ?, ?)");
  for (const Migration& migration : migrations()) {
    if (migration.number <= before) continue;
    db_->script(std::string(migration.sql));
    record.bind(migration.number, migration.name, now_ms()).run();
  }
  if (before < kPathsAreRelative) adopt_old_paths();
  make_seals(*db_, 1 + (has_seals ? *sealed_changes(*db_) : 0));
  transaction.commit();
  if (before > 0 && before < kManifestsShareBanks) give_back_space(*db_);
  return before;
}

/// A command that an older program has begun would go on to write as its own schema wants it.
void Registry::require_nobody_at_work() const {
  std::error_code error;
  for (const auto& lock : fs::directory_iterator(lock_path(""), error)) {
    if (!FileLock::is_held(lock.path())) continue;
    throw Error(
        "the workspace '" + folder_.string() + "' has an older schema, and a command of an older mformer is at work",
        "wait until it has ended, then run the command again");
  }
}

/// Throws if the registry is empty, but something shows that it once had rows.
void Registry::require_nothing_lost() const {
  const std::size_t objects = objects_.list().size();
  const bool had_rows = db_->change_count().read().state != ChangeCount::State::missing;
  const bool is_empty = applied_schema(*db_) == 0;  // last: another process may just be making the tables
  if (is_empty && (objects > 0 || had_rows)) fail_without_rows(folder_, objects);
}

void Registry::require_current_schema() const {
  const int applied = applied_schema(*db_);
  refuse_newer_schema(applied, folder_);
  if (applied == newest_schema()) return;
  if (applied == 0) {
    require_nothing_lost();
    throw Error("the workspace '" + folder_.string() + "' is empty: its creation was cut off",
                "run mformer init there again");
  }
  throw Error("the workspace '" + folder_.string() + "' has an older schema (" + std::to_string(applied) +
                  ", this mformer needs " + std::to_string(newest_schema()) + ") and was opened for reading only",
              "run a command that writes once, e.g. mformer gc: it brings the workspace up to date");
}

void Registry::stop_when(std::function<bool()> should_stop) {
  db_->stop_when(std::move(should_stop));
}

void Registry::show_progress(Progress progress) {
  progress_ = std::move(progress);
}

void Registry::tell(const char* what, std::size_t done, std::size_t total) const {
  if (progress_) progress_(what, static_cast<std::int64_t>(done), static_cast<std::int64_t>(total));
}

void Registry::atomically(const std::function<void()>& work) {
  WriteTransaction transaction(*db_);
  work();
  transaction.commit();
}

fs::path Registry::lock_path(const std::string& operation_uid) const {
  return folder_ / kRunning / operation_uid;
}

}  // namespace mformer
