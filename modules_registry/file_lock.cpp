#include "modules_registry/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <system_error>
#include <thread>
#include <utility>

#include "modules_registry/files.h"
#include "modules_registry/waiting_reader.h"

namespace mformer {

namespace {

/// Whether the file that is open is still the one of this name.
bool is_named(int descriptor, const std::filesystem::path& path) {
  struct stat open_file {};
  struct stat named_file {};
  return ::fstat(descriptor, &open_file) == 0 && ::stat(path.c_str(), &named_file) == 0 &&
         open_file.st_dev == named_file.st_dev && open_file.st_ino == named_file.st_ino;
}

/// 0, or the error's code. Who asks is_held() holds the lock for an instant: that is waited for.
int lock(int descriptor) {
  constexpr int kTries = 100;
  for (int left = kTries; ::flock(descriptor, LOCK_EX | LOCK_NB) != 0; --left) {
    if (left == 0 || (errno != EWOULDBLOCK && errno != EINTR)) return errno;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return 0;
}

}  // namespace

FileLock::FileLock(std::filesystem::path path) : path_(std::move(path)) {
  while (true) {
    descriptor_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (descriptor_ < 0) throw_file_error("create", path_, errno);
    if (const int code = lock(descriptor_)) {
      ::close(descriptor_);
      throw_file_error("lock", path_, code);
    }
    if (is_named(descriptor_, path_)) return;
    ::close(descriptor_);  // a garbage collection took it for a dead one's before it was locked
  }
}

FileLock::FileLock(FileLock&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}

FileLock& FileLock::operator=(FileLock&& other) noexcept {
  if (this != &other) {
    release();
    path_ = std::move(other.path_);
    descriptor_ = std::exchange(other.descriptor_, -1);
  }
  return *this;
}

FileLock::~FileLock() {
  release();
}

void FileLock::release() {
  if (descriptor_ < 0) return;
  std::error_code ignored;
  std::filesystem::remove(path_, ignored);
  ::close(std::exchange(descriptor_, -1));
}

bool FileLock::remove_if_free(const std::filesystem::path& path) {
  const int descriptor = open_to_read(path);
  if (descriptor < 0) return errno == ENOENT;
  // Locked while it goes: who has opened it meanwhile finds, once it has the lock, that the file has no name, and makes
  // another. The name may by now be that of another lock, which somebody holds: only the file that was locked is
  // removed.
  const bool removed =
      ::flock(descriptor, LOCK_EX | LOCK_NB) == 0 && is_named(descriptor, path) && ::unlink(path.c_str()) == 0;
  ::close(descriptor);
  return removed;
}

bool FileLock::is_held(const std::filesystem::path& path) {
  const int descriptor = open_to_read(path);
  if (descriptor < 0) return errno != ENOENT;
  const bool held = ::flock(descriptor, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  ::close(descriptor);
  return held;
}

}  // namespace mformer
