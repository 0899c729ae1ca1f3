#include "modules_registry/scratch_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "modules_registry/files.h"

namespace mformer {
namespace {

namespace fs = std::filesystem;

int open_folder(const fs::path& folder) {
  return ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

bool is_at(int folder, const fs::path& path) {
  struct stat opened {};
  struct stat named {};
  return ::fstat(folder, &opened) == 0 && ::lstat(path.c_str(), &named) == 0 && opened.st_ino == named.st_ino &&
         opened.st_dev == named.st_dev;
}

/// In a folder that all may write to, others' are none of ours.
bool is_own(int folder) {
  struct stat opened {};
  return ::fstat(folder, &opened) == 0 && opened.st_uid == ::geteuid();
}

void remove_dead(const fs::path& parent, const std::string& prefix, const ScratchFolder::Remove& remove) {
  std::error_code error;
  fs::directory_iterator entry(parent, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    if (!entry->path().filename().string().starts_with(prefix)) continue;
    const int folder = open_folder(entry->path());
    if (folder < 0) continue;
    if (is_own(folder) && ::flock(folder, LOCK_EX | LOCK_NB) == 0) remove(entry->path());
    ::close(folder);
  }
}

}  // namespace

ScratchFolder::ScratchFolder(const fs::path& parent, const std::string& kind, Remove remove, bool take_over)
    : remove_(std::move(remove)) {
  const std::string prefix = std::string(kTemporaryPrefix) + kind + "-";
  const bool has_one = take_over && take_over_dead(parent, prefix);
  remove_dead(parent, prefix, remove_);
  if (has_one) return;
  // Between making the folder and locking it another process may take it for a dead one: then it is made again.
  constexpr int kTries = 100;
  for (int tries = 1;; ++tries) {
    const fs::path path = parent / (prefix + random_uid());
    if (::mkdir(path.c_str(), 0777) != 0) throw_file_error("write", path, errno);
    lock_ = open_folder(path);
    // Where folders can't be locked, nobody can lock them to remove them either.
    const bool taken = lock_ >= 0 && ::flock(lock_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    if (lock_ >= 0 && !taken && is_at(lock_, path)) {
      path_ = path;
      return;
    }
    if (lock_ >= 0) ::close(std::exchange(lock_, -1));
    if (tries == kTries) throw_file_error("write", path, ENOENT);
  }
}

bool ScratchFolder::take_over_dead(const fs::path& parent, const std::string& prefix) {
  std::error_code error;
  fs::directory_iterator entry(parent, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    if (!entry->path().filename().string().starts_with(prefix)) continue;
    const int folder = open_folder(entry->path());
    if (folder < 0) continue;
    if (is_own(folder) && ::flock(folder, LOCK_EX | LOCK_NB) == 0 && is_at(folder, entry->path())) {
      path_ = entry->path();
      lock_ = folder;
      return true;
    }
    ::close(folder);
  }
  return false;
}

ScratchFolder::~ScratchFolder() {
  if (!path_.empty()) remove_(path_);
  for (const int lock : {lock_, other_lock_}) {
    if (lock >= 0) ::close(lock);
  }
}

void ScratchFolder::lock_too(const fs::path& folder) {
  other_lock_ = open_folder(folder);
  if (other_lock_ >= 0 && ::flock(other_lock_, LOCK_EX | LOCK_NB) != 0) ::close(std::exchange(other_lock_, -1));
}

}  // namespace mformer
