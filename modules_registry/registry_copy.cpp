#include "modules_registry/registry_copy.h"

#include <SQLiteCpp/Backup.h>

#include <system_error>

#include "modules_registry/connection.h"
#include "modules_registry/error.h"
#include "modules_registry/files.h"

namespace mformer {

namespace {

namespace fs = std::filesystem;

constexpr const char* kOwnFolder = ".mformer";

void copy_rows(const fs::path& from, const fs::path& to) {
  try {
    SQLite::Database source = connect_to_read(from);
    SQLite::Database target = connect_to_write(to, /*create=*/true);
    SQLite::Backup(target, source).executeStep(-1);
  } catch (const SQLite::Exception& exception) {
    throw_database_error(from, exception);
  }
}

/// Links in `to` to everything in `from` but what is unfinished, or named `except`. Where there is no `from`, none.
void link_entries(const fs::path& from, const fs::path& to, const char* except = "") {
  std::error_code missing;
  for (const auto& entry : fs::directory_iterator(from, missing)) {
    const fs::path name = entry.path().filename();
    if (name == except || name.string().starts_with(kTemporaryPrefix)) continue;
    fs::create_symlink(fs::absolute(entry.path()), to / name);
  }
}

}  // namespace

void copy_registry(const fs::path& dir, const fs::path& to) {
  const bool inside = dir.filename() == kOwnFolder && fs::exists(dir / "registry.db");
  const fs::path from = fs::absolute(inside ? dir : dir / kOwnFolder), copy = to / kOwnFolder;
  try {
    fs::create_directories(copy / "objects");
    fs::create_directories(copy / "cache");
    copy_rows(from / "registry.db", copy / "registry.db");
    link_entries(from / "cache", copy / "cache");
    std::error_code missing;
    for (const auto& part : fs::directory_iterator(from / "objects", missing)) {
      if (!part.is_directory()) continue;
      fs::create_directories(copy / "objects" / part.path().filename());
      link_entries(part.path(), copy / "objects" / part.path().filename());
    }
    link_entries(from.parent_path(), to, kOwnFolder);
  } catch (const fs::filesystem_error& error) {
    throw_file_error("copy", error.path1(), error.code().value());
  }
}

}  // namespace mformer
