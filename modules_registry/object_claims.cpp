#include "modules_registry/object_claims.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <system_error>

#include "modules_registry/file_lock.h"
#include "modules_registry/files.h"

namespace mformer {

namespace fs = std::filesystem;

ClaimLock::ClaimLock(const fs::path& objects, Mode mode) {
  descriptor_ = ::open(objects.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor_ < 0) return;
  while (::flock(descriptor_, mode == Mode::shared ? LOCK_SH : LOCK_EX) != 0 && errno == EINTR) {
  }
}

ClaimLock::~ClaimLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void ObjectClaims::add(const std::string& hash) {
  while (!files_.empty()) {
    const int file = ::open(files_.back().c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
    if (file < 0 && errno == ENOENT) {
      files_.pop_back();
      continue;
    }
    if (file < 0) throw_file_error("write", files_.back(), errno);
    const std::string line = hash + '\n';
    struct stat before {};
    const bool known = ::fstat(file, &before) == 0;
    ssize_t written = -1;
    do {
      written = ::write(file, line.data(), line.size());
    } while (written < 0 && errno == EINTR);
    const int code = written < 0 ? errno : ENOSPC;
    const timespec times[] = {before.st_atim, before.st_mtim};
    if (known) ::futimens(file, times);  // the time of the lock file is when its operation began
    ::close(file);
    if (written != static_cast<ssize_t>(line.size())) throw_file_error("write", files_.back(), code);
    return;
  }
}

std::unordered_set<std::string> claimed_objects(const fs::path& locks) {
  std::unordered_set<std::string> hashes;
  std::error_code error;
  for (const auto& lock : fs::directory_iterator(locks, error)) {
    if (!FileLock::is_held(lock.path())) continue;
    std::ifstream lines(lock.path());
    for (std::string line; std::getline(lines, line);) hashes.insert(line);
  }
  return hashes;
}

}  // namespace mformer
