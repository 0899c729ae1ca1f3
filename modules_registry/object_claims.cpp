#include "modules_registry/object_claims.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <fstream>
#include <optional>
#include <sstream>
#include <string_view>
#include <system_error>

#include "modules_registry/file_lock.h"
#include "modules_registry/files.h"

namespace mformer {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kBegan = "began ";

/// 0, or the error's code.
int append_all(int file, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(file, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return written < 0 ? errno : ENOSPC;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return 0;
}

/// The time of the file is when its operation began, until the first line is written: so that line says it. A line
/// that was cut off is ended by the next one's beginning.
int append_claim(int file, const std::string& hash) {
  struct stat before {};
  if (::fstat(file, &before) != 0) return errno;
  std::string text;
  if (before.st_size == 0) {
    text.append(kBegan).append(std::to_string(before.st_mtim.tv_sec)).append(" ");
    text.append(std::to_string(before.st_mtim.tv_nsec));
  }
  return append_all(file, text.append("\n").append(hash).append("\n"));
}

std::optional<fs::file_time_type> time_in(const std::string& line) {
  if (!line.starts_with(kBegan)) return std::nullopt;
  std::istringstream words(line.substr(kBegan.size()));
  std::int64_t seconds = 0, nanoseconds = 0;
  if (!(words >> seconds >> nanoseconds)) return std::nullopt;
  const auto since = std::chrono::seconds(seconds) + std::chrono::nanoseconds(nanoseconds);
  return fs::file_time_type::clock::from_sys(std::chrono::sys_time<std::chrono::nanoseconds>(since));
}

/// Of a lock that is held. What can't be read could be anything, unless the file is gone.
void read_claims(const fs::path& lock, LiveClaims& claims) {
  std::error_code error;
  auto begun = fs::last_write_time(lock, error);
  std::ifstream lines;
  if (!error && fs::is_regular_file(lock, error)) lines.open(lock);
  for (std::string line; std::getline(lines, line);) {
    if (const auto time = time_in(line)) begun = std::min(begun, *time);
    claims.objects.insert(line);
  }
  const bool read = !error && lines.is_open() && !lines.bad();
  if (!read && FileLock::is_held(lock)) throw_file_error("read", lock, error ? error.value() : EIO);
  if (read) claims.oldest = std::min(claims.oldest, begun);
}

}  // namespace

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
    const int code = append_claim(file, hash);
    ::close(file);
    if (code != 0) throw_file_error("write", files_.back(), code);
    return;
  }
}

LiveClaims live_claims(const fs::path& locks) {
  LiveClaims claims;
  std::error_code error;
  for (fs::directory_iterator entry(locks, error); !error && entry != fs::directory_iterator();
       entry.increment(error)) {
    if (FileLock::is_held(entry->path())) read_claims(entry->path(), claims);
  }
  if (error && error.value() != ENOENT) throw_file_error("list", locks, error.value());
  return claims;
}

}  // namespace mformer
