#include "modules_registry/new_workspace.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <system_error>
#include <utility>

#include "modules_registry/error.h"
#include "modules_registry/files.h"
#include "modules_registry/paths.h"
#include "modules_registry/registry.h"
#include "modules_registry/temporaries.h"

namespace mformer {
namespace {

namespace fs = std::filesystem;

constexpr const char* kMemory = ".mformer";

constexpr const char* kObjects = "objects";

/// A folder of this file's making holds a .mformer, maybe objects beside it, and nothing else; any other is left alone.
void remove_unfinished(const fs::path& folder) noexcept {
  std::error_code error;
  std::size_t others = 0;
  for (fs::directory_iterator entry(folder, error); !error && entry != fs::directory_iterator();
       entry.increment(error)) {
    others += entry->path().filename() != kMemory && entry->path().filename() != kObjects ? 1 : 0;
  }
  if (!error && others == 0) fs::remove_all(folder, error);
}

/// A .mformer of folders alone is what a creation leaves that was killed at its very beginning: they are removed.
void require_nothing_in(const fs::path& memory) {
  std::error_code error;
  std::vector<fs::path> folders;
  for (fs::recursive_directory_iterator entry(memory, error); !error && entry != fs::recursive_directory_iterator();
       entry.increment(error)) {
    if (!fs::is_directory(entry->symlink_status(error))) {
      throw Error("'" + memory.string() + "' has no registry.db that can be used, but holds '" +
                      entry->path().lexically_relative(memory).string() + "'",
                  "put registry.db back from a copy; or move that folder away, or choose another: --workspace DIR");
    }
    folders.push_back(entry->path());
  }
  if (error && error.value() != ENOENT) throw_file_error("read", memory, error.value());
  for (auto folder = folders.rbegin(); folder != folders.rend(); ++folder) ::rmdir(folder->c_str());
}

/// Of a folder, not of a link to one.
bool has_any(const fs::path& objects) {
  std::error_code error;
  if (!fs::is_directory(fs::symlink_status(objects, error))) return false;
  const bool is_empty = fs::is_empty(objects, error);
  return !error && !is_empty;
}

bool has_objects_in(const fs::path& folder) {
  return has_any(folder / kMemory / kObjects) || has_any(folder / kObjects);
}

/// Of a folder that another one left, the objects; in each moment they lie where the next one finds them.
void make_with_objects_of_before(const fs::path& folder) {
  const fs::path memory = folder / kMemory, aside = folder / kObjects;
  std::error_code error;
  if (!has_any(aside)) fs::remove_all(aside, error);
  if (has_any(memory / kObjects) && !has_any(aside)) fs::rename(memory / kObjects, aside, error);
  if (!error) fs::remove_all(memory, error);
  if (error) throw_file_error("write", memory, error.value());
  Registry::create(folder);
  if (!has_any(aside)) return;
  fs::rename(aside, memory / kObjects, error);
  if (error) throw_file_error("write", memory, error.value());
  sync_folder(memory);
  Registry::sweep(folder, /*dry_run=*/false, /*grace_ms=*/0);
}

}  // namespace

NewWorkspace::NewWorkspace(const fs::path& dir, Objects objects)
    : dir_(dir),
      target_(real_path(dir / kMemory)),
      made_dir_(!fs::exists(dir)),
      keeps_objects_(objects == Objects::stay) {
  std::error_code error;
  fs::create_directories(dir, error);
  if (error) throw_file_error("create", dir, error.value());
  require_nothing_in(target_);
  // An init finds what either kind left, since its kind begins the other's.
  scratch_.emplace(target_.parent_path(), keeps_objects_ ? "init-receive" : "init", remove_unfinished, keeps_objects_);
  try {
    make_with_objects_of_before(scratch_->path());
  } catch (const Error&) {
    if (keeps_objects_ && has_objects_in(scratch_->path())) scratch_->now_at("");
    throw;
  }
}

NewWorkspace::~NewWorkspace() {
  if (keeps_objects_ && has_objects_in(scratch_->path())) scratch_->now_at("");
  scratch_.reset();
  if (made_dir_) ::rmdir(dir_.c_str());  // stays if anything is in it
}

void NewWorkspace::put_in_place() {
  const fs::path made = folder() / kMemory;
  if (::rename(made.c_str(), target_.c_str()) != 0) {
    if (errno != ENOTEMPTY && errno != EEXIST) throw_file_error("write", target_, errno);
    const std::string what = "another command has made a workspace here meanwhile: '" + target_.string() + "'";
    // Its objects would be of use to none: the next one finds a workspace.
    if (std::exchange(keeps_objects_, false)) throw Error(what, "run the same again: it goes into that one");
    throw Error(what, "use it as it is, or choose another folder: --workspace DIR");
  }
  try {
    sync_folder(target_.parent_path());
  } catch (const Error& error) {
    if (::rename(target_.c_str(), made.c_str()) != 0) throw_may_not_last(error, target_);
    throw;
  }
}

}  // namespace mformer
