#include "modules_registry/temporaries.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>
#include <vector>

#include "modules_registry/file_lock.h"
#include "modules_registry/files.h"

namespace mformer {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kUidDigits = 12;

/// What all temporary names of this file begin with.
std::string beginning_of_temporaries(const fs::path& path) {
  constexpr std::size_t kLongest = 100;
  return std::string(kTemporaryPrefix) + path.filename().string().substr(0, kLongest) + "-";
}

}  // namespace

bool has_name(int descriptor, const fs::path& path) {
  struct stat opened {};
  struct stat named {};
  return ::fstat(descriptor, &opened) == 0 && ::lstat(path.c_str(), &named) == 0 && opened.st_ino == named.st_ino &&
         opened.st_dev == named.st_dev;
}

fs::path temporary_beside(const fs::path& path) {
  return path.parent_path() / (beginning_of_temporaries(path) + random_uid());
}

void remove_dead_temporaries(const fs::path& path) {
  const std::string beginning = beginning_of_temporaries(path);
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  std::error_code error;
  std::vector<fs::path> found;
  for (fs::directory_iterator entry(folder, error); !error && entry != fs::directory_iterator();
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    std::error_code gone;
    const bool ours = name.starts_with(beginning) && name.size() == beginning.size() + kUidDigits &&
                      name.find_first_not_of("0123456789abcdef", beginning.size()) == std::string::npos;
    if (ours && entry->is_regular_file(gone)) found.push_back(entry->path());
  }
  for (const fs::path& file : found) FileLock::remove_if_free(file);
}

int create_file(const fs::path& path, unsigned mode) {
  int descriptor = -1;
  do {
    descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  } while (descriptor < 0 && errno == EINTR);  // some file systems over a network let a signal in
  return descriptor;
}

int create_locked(const fs::path& path, unsigned mode) {
  while (true) {
    const int descriptor = create_file(path, mode);
    if (descriptor < 0) return -1;
    ::flock(descriptor, LOCK_EX | LOCK_NB);
    if (has_name(descriptor, path)) return descriptor;
    ::close(descriptor);  // taken for a dead one's before it was locked
  }
}

}  // namespace mformer
