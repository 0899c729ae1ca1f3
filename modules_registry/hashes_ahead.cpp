#include "modules_registry/hashes_ahead.h"

#include <sys/stat.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "modules_registry/error.h"
#include "modules_registry/files.h"

namespace mformer {
namespace {

constexpr std::uint64_t kBytesAhead = std::uint64_t{256} << 20;

/// The state in which the file's bytes had this hash. Taken before they are read, so that a change meanwhile shows.
std::optional<FileStamp> state_with(const HashesAhead::File& file) {
  try {
    const std::optional<FileStamp> stamp = stamp_of(file.path);
    return stamp && sha256_file(file.path) == file.hash ? stamp : std::nullopt;
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace

std::optional<FileStamp> stamp_of(const std::filesystem::path& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0) return std::nullopt;
  return FileStamp{status.st_ino, status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec};
}

HashesAhead::HashesAhead(std::vector<File> files) {
  std::uint64_t before = 0;
  for (File& file : files) {
    if (!numbers_.emplace(file.hash, entries_.size()).second) continue;
    std::error_code unknown;
    const auto size = std::filesystem::file_size(file.path, unknown);
    entries_.push_back({std::move(file), before, State::waiting, std::nullopt});
    if (!unknown) before += size;
  }
  try {
    thread_ = std::thread([this] { read_all(); });
  } catch (const std::system_error&) {
  }
}

HashesAhead::~HashesAhead() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

std::optional<FileStamp> HashesAhead::result(const std::string& hash) {
  const auto number = numbers_.find(hash);
  if (number == numbers_.end()) return std::nullopt;
  Entry& entry = entries_[number->second];
  std::unique_lock lock(mutex_);
  asked_ = std::max(asked_, number->second);
  changed_.notify_all();
  changed_.wait(lock, [&] { return entry.state != State::reading; });
  entry.state = State::done;
  return entry.right;
}

void HashesAhead::read_all() {
  for (Entry& entry : entries_) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return stopped_ || entry.before <= entries_[asked_].before + kBytesAhead; });
    if (stopped_) return;
    if (entry.state != State::waiting) continue;
    entry.state = State::reading;
    lock.unlock();
    const std::optional<FileStamp> right = state_with(entry.file);
    lock.lock();
    entry.right = right;
    entry.state = State::done;
    changed_.notify_all();
  }
}

}  // namespace mformer
