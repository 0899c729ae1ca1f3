#include "modules_registry/files.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>
#include <vector>

#include "modules_registry/error.h"
#include "modules_registry/file_sink.h"
#include "modules_registry/temporaries.h"
#include "modules_registry/waiting_reader.h"

namespace mformer {

namespace {

namespace fs = std::filesystem;

/// Closes at the end of the scope.
class Descriptor {
 public:
  explicit Descriptor(int descriptor) : descriptor_(descriptor) {}
  ~Descriptor() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return descriptor_; }
  /// Closes now: 0 or the error, which on some file systems is the first news of a full disk.
  /// It is closed even where a signal came between.
  int close() { return ::close(std::exchange(descriptor_, -1)) == 0 || errno == EINTR ? 0 : errno; }

 private:
  int descriptor_;
};

std::string hint_for(int code) {
  switch (code) {
    case ENOSPC:
      return "free some space (mformer gc removes files that no version uses), then run the command again";
    case EDQUOT:
    case EFBIG:
      return "a limit on disk space or file size was reached: raise it or free space, then run the command again";
    case EACCES:
    case EPERM:
      return "check the permissions of the file and its folder";
    case EROFS:
      return "the file system is mounted read-only: work in a folder that can be written to";
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case ELOOP:
    case ENAMETOOLONG:
      return "check the path";
    case EIO:
      return "the disk failed: check it (dmesg says more), then run the command again";
    default:
      return "run the command again; if it fails again, check the disk and its file system";
  }
}

int wait_for_disk(int descriptor) {
  int result = ::fsync(descriptor);
  while (result != 0 && errno == EINTR)
    result = ::fsync(descriptor);  // some file systems over a network let a signal in
  return result;
}

int write_all(int descriptor, Bytes bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor, bytes.data(), std::min<size_t>(bytes.size(), 1U << 30));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
  return 0;
}

/// Writes and closes a new file: 0, or the error's code.
int write_and_close(const fs::path& path, std::span<const Bytes> pieces, unsigned mode) {
  Descriptor file(create_file(path, mode));
  if (file.get() < 0) return errno;
  for (const Bytes piece : pieces) {
    if (const int code = write_all(file.get(), piece)) return code;
  }
  // Only to save time later: where it is not supported, nothing is lost.
  ::sync_file_range(file.get(), 0, 0, SYNC_FILE_RANGE_WRITE);
  return file.close();
}

/// Appends to a file, and has the disk begin with what came before while the next bytes are made.
class GrowingFile {
 public:
  explicit GrowingFile(int descriptor) : descriptor_(descriptor) {}

  /// 0, or the error's code.
  int append(Bytes bytes) {
    if (const int code = write_all(descriptor_, bytes)) return code;
    written_ += static_cast<off_t>(bytes.size());
    if (written_ - begun_ < kAtOnce) return 0;
    ::sync_file_range(descriptor_, begun_, written_ - begun_, SYNC_FILE_RANGE_WRITE);
    begun_ = written_;
    return 0;
  }

 private:
  static constexpr off_t kAtOnce = off_t{1} << 25;
  int descriptor_;
  off_t written_ = 0, begun_ = 0;
};

/// Removes a file unless it got its name.
struct Unfinished {
  const fs::path& path;
  bool done = false;
  ~Unfinished() {
    if (!done) ::unlink(path.c_str());
  }
};

/// Calls take(block) for all bytes of the file.
template <class Take>
void for_each_block(const fs::path& path, Take take) {
  const Descriptor file(open_to_read(path));
  if (file.get() < 0) throw_file_error("read", path, errno);
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) throw_file_error("read", path, errno);
  if (S_ISDIR(status.st_mode)) throw_file_error("read", path, EISDIR);
  if (!S_ISREG(status.st_mode))
    throw Error("'" + path.string() + "' is no file, but a pipe or a device", "name a file");
  std::vector<std::byte> block(1U << 16);  // small, so that what was read is still in the cache
  while (true) {
    const ssize_t size = ::read(file.get(), block.data(), block.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) throw_file_error("read", path, errno);
    if (size == 0) return;
    take(Bytes(block).first(static_cast<size_t>(size)));
  }
}

}  // namespace

void throw_file_error(std::string_view verb, const fs::path& path, int code) {
  throw Error("can't " + std::string(verb) + " '" + path.string() + "': " + std::strerror(code), hint_for(code));
}

void throw_may_not_last(const Error& error, const fs::path& path) {
  throw Error(
      std::string(error.what()) + "; the new '" + path.string() + "' is there, but may not outlive a power failure",
      error.hint());
}

Bytes as_bytes(std::string_view text) {
  return std::as_bytes(std::span(text));
}

void sync_folder(const fs::path& folder) {
  const Descriptor descriptor(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  // Some file systems can't sync a folder; they say EINVAL.
  if (descriptor.get() < 0 || (wait_for_disk(descriptor.get()) != 0 && errno != EINVAL)) {
    throw_file_error("write", folder, errno);
  }
}

void write_new_file(const fs::path& path, std::span<const Bytes> pieces, unsigned mode) {
  const int code = write_and_close(path, pieces, mode);
  if (code == 0) return;
  if (code != EEXIST) ::unlink(path.c_str());
  throw_file_error("write", path, code);
}

void sync_file_system(const fs::path& folder) {
  const Descriptor descriptor(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (descriptor.get() < 0 || ::syncfs(descriptor.get()) != 0) throw_file_error("write", folder, errno);
}

void write_file_atomically(const fs::path& path, Bytes bytes, unsigned mode) {
  write_file_atomically(path, std::span<const Bytes>(&bytes, 1), mode);
}

void write_file_atomically(const fs::path& path, std::span<const Bytes> pieces, unsigned mode) {
  const auto write = [&](const ByteSink& sink) {
    for (const Bytes piece : pieces) sink(piece);
  };
  write_file_atomically(path, write, mode);
}

void write_file_atomically(const fs::path& path, const std::function<void(const ByteSink&)>& write, unsigned mode) {
  remove_dead_temporaries(path);
  const fs::path temporary = temporary_beside(path);
  const auto require = [&](bool is_well) {
    if (!is_well) throw_file_error("write", path, errno);
  };
  const Descriptor file(
      create_locked(temporary, mode));  // until it has its name: else it could be removed as a dead one
  require(file.get() >= 0);
  Unfinished unfinished{temporary};
  GrowingFile growing(file.get());
  write([&](Bytes bytes) {
    if (const int code = growing.append(bytes)) throw_file_error("write", path, code);
  });
  require(wait_for_disk(file.get()) == 0);
  struct stat before {};
  const bool is_new = ::lstat(path.c_str(), &before) != 0;
  require(::rename(temporary.c_str(), path.c_str()) == 0);
  unfinished.done = true;
  try {
    sync_folder(path.has_parent_path() ? path.parent_path() : fs::path("."));
  } catch (const Error& error) {
    if (!has_name(file.get(), path)) throw;
    if (is_new && ::unlink(path.c_str()) == 0) throw;  // it is said not to be written
    throw_may_not_last(error, path);
  }
}

std::string read_file(const fs::path& path) {
  std::string text;
  std::error_code unknown_size;
  const auto size = fs::file_size(path, unknown_size);
  if (!unknown_size) text.reserve(size);
  for_each_block(path, [&](Bytes block) { text.append(reinterpret_cast<const char*>(block.data()), block.size()); });
  return text;
}

std::string sha256_file(const fs::path& path) {
  Sha256 sha;
  for_each_block(path, [&](Bytes block) { sha.update(block); });
  return sha.finish_hex();
}

std::string to_hex(Bytes bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex;
  hex.reserve(2 * bytes.size());
  for (const std::byte byte : bytes) {
    hex += kDigits[std::to_integer<size_t>(byte >> 4)];
    hex += kDigits[std::to_integer<size_t>(byte & std::byte{15})];
  }
  return hex;
}

std::string random_uid() {
  std::array<unsigned char, 6> bytes{};
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    throw Error("the operating system gave no random bytes");
  }
  return to_hex(std::as_bytes(std::span(bytes)));
}

std::int64_t now_ms() {
  using std::chrono::duration_cast, std::chrono::milliseconds, std::chrono::system_clock;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

}  // namespace mformer
