#include "modules_registry/new_workspace.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <system_error>

#include "modules_registry/error.h"
#include "modules_registry/files.h"
#include "modules_registry/paths.h"
#include "modules_registry/registry.h"

namespace mformer {
namespace {

namespace fs = std::filesystem;

constexpr const char* kMemory = ".mformer";

/// A folder of this file's making holds a .mformer and nothing else; any other is left alone.
void remove_unfinished(const fs::path& folder) noexcept {
  std::error_code error;
  std::size_t others = 0;
  for (fs::directory_iterator entry(folder, error); !error && entry != fs::directory_iterator();
       entry.increment(error)) {
    others += entry->path().filename() != kMemory ? 1 : 0;
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

}  // namespace

NewWorkspace::NewWorkspace(const fs::path& dir)
    : dir_(dir), target_(real_path(dir / kMemory)), made_dir_(!fs::exists(dir)) {
  std::error_code error;
  fs::create_directories(dir, error);
  if (error) throw_file_error("create", dir, error.value());
  require_nothing_in(target_);
  scratch_.emplace(target_.parent_path(), "init", remove_unfinished);
  Registry::create(scratch_->path());
}

NewWorkspace::~NewWorkspace() {
  scratch_.reset();
  if (made_dir_) ::rmdir(dir_.c_str());  // stays if anything is in it
}

void NewWorkspace::put_in_place() {
  const fs::path made = folder() / kMemory;
  if (::rename(made.c_str(), target_.c_str()) != 0) {
    if (errno != ENOTEMPTY && errno != EEXIST) throw_file_error("write", target_, errno);
    throw Error("another command has made a workspace here meanwhile: '" + target_.string() + "'",
                "use it as it is, or choose another folder: --workspace DIR");
  }
  try {
    sync_folder(target_.parent_path());
  } catch (const Error&) {
    ::rename(target_.c_str(), made.c_str());
    throw;
  }
}

}  // namespace mformer
