#include <unistd.h>

#include <system_error>
#include <utility>

#include "modules_registry/database.h"
#include "modules_registry/error.h"
#include "modules_registry/registry.h"
#include "modules_registry/schema.h"

namespace mformer {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFolder = ".mformer";
constexpr std::string_view kDatabase = "registry.db";
constexpr std::string_view kObjects = "objects";
constexpr std::string_view kRunning = "running";

fs::path registry_folder(const fs::path& dir) {
  std::error_code error;
  if (dir.filename() == kFolder && fs::exists(dir / kDatabase, error)) return dir;
  return dir / kFolder;
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

int newest_schema() {
  return migrations().back().number;
}

void refuse_newer_schema(int applied, const fs::path& folder) {
  if (applied <= newest_schema()) return;
  throw Error("the workspace '" + folder.string() + "' was written by a newer mformer (schema " +
                  std::to_string(applied) + "; this one knows up to " + std::to_string(newest_schema()) + ")",
              "update mformer; nothing was changed");
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
  return registry;
}

Registry Registry::open(const fs::path& dir, OpenMode mode) {
  const fs::path folder = registry_folder(dir);
  std::error_code error;
  if (!fs::exists(folder / kDatabase, error)) {
    throw Error("there is no workspace in '" + dir.string() + "'",
                "make one with mformer init, or name one with --workspace");
  }
  if (mode == OpenMode::read_only) {
    Registry registry(folder, std::make_unique<Database>(folder / kDatabase, Database::Mode::read_only));
    registry.require_current_schema();
    return registry;
  }
  if (::access(folder.c_str(), W_OK) != 0) {
    throw Error("the workspace '" + folder.string() + "' is read-only for this user",
                "check its permissions, or copy it to a folder that you can write to");
  }
  make_folder(folder / kRunning);
  Registry registry(folder, std::make_unique<Database>(folder / kDatabase, Database::Mode::read_write));
  registry.migrate();
  registry.mark_interrupted_operations();
  return registry;
}

std::optional<fs::path> Registry::find(const fs::path& start) {
  std::error_code error;
  for (fs::path dir = fs::absolute(start).lexically_normal();; dir = dir.parent_path()) {
    if (fs::exists(dir / kFolder / kDatabase, error)) return dir;
    if (dir == dir.parent_path()) return std::nullopt;
  }
}

/// Applies what is missing, in one transaction with its record. Returns the schema number from before.
int Registry::migrate() {
  const int seen = applied_schema(*db_);
  refuse_newer_schema(seen, folder_);
  if (seen == newest_schema()) return seen;
  WriteTransaction transaction(*db_);
  const int before = applied_schema(*db_);  // again, under the lock: another process may have been faster
  refuse_newer_schema(before, folder_);
  db_->script(
      "CREATE TABLE IF NOT EXISTS schema_migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL, "
      "applied_ms INTEGER NOT NULL) STRICT");
  Query record(*db_, "INSERT INTO schema_migrations (number, name, applied_ms) VALUES (?, ?, ?)");
  for (const Migration& migration : migrations()) {
    if (migration.number <= before) continue;
    db_->script(std::string(migration.sql));
    record.bind(migration.number, migration.name, now_ms()).run();
  }
  transaction.commit();
  return before;
}

void Registry::require_current_schema() const {
  const int applied = applied_schema(*db_);
  refuse_newer_schema(applied, folder_);
  if (applied == newest_schema()) return;
  if (applied == 0) {
    throw Error("the workspace '" + folder_.string() + "' is empty: its creation was cut off",
                "run mformer init there again");
  }
  throw Error("the workspace '" + folder_.string() + "' has an older schema (" + std::to_string(applied) +
                  ", this mformer needs " + std::to_string(newest_schema()) + ") and was opened for reading only",
              "run a command that writes once, e.g. mformer use: it brings the workspace up to date");
}

fs::path Registry::lock_path(const std::string& operation_uid) const {
  return folder_ / kRunning / operation_uid;
}

}  // namespace mformer
