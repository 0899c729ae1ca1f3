#include "core/formats/input_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "modules_registry/error.h"
#include "modules_registry/files.h"
#include "modules_registry/waiting_reader.h"

namespace mformer {

struct InputFile::Descriptor {
  explicit Descriptor(const std::filesystem::path& file) : path(file) {
    fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a named pipe must not block
    if (fd < 0) throw_file_error("read", path, errno);
  }
  ~Descriptor() { ::close(fd); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  std::filesystem::path path;
  int fd;
  std::uint64_t size = 0;
  timespec modified{};
  bool may_change = true;
};

InputFile InputFile::open(const std::filesystem::path& path) {
  const auto descriptor = std::make_shared<Descriptor>(path);
  struct stat status {};
  if (::fstat(descriptor->fd, &status) != 0) throw_file_error("read", path, errno);
  if (!S_ISREG(status.st_mode)) throw Error("'" + path.string() + "' is not a file", "name a file");
  descriptor->size = static_cast<std::uint64_t>(status.st_size);
  descriptor->modified = status.st_mtim;
  // Objects of a workspace may be written by nobody; they get a new time when a command stores the same bytes again.
  descriptor->may_change = (status.st_mode & (S_IWUSR | S_IWGRP | S_IWOTH)) != 0;
  InputFile file;
  file.descriptor_ = descriptor;
  return file;
}

std::uint64_t InputFile::size() const {
  return descriptor_->size;
}

const std::filesystem::path& InputFile::path() const {
  return descriptor_->path;
}

void InputFile::read(std::uint64_t offset, std::span<std::byte> to) const {
  constexpr std::size_t kMostAtOnce = std::size_t{1} << 30;  // the system reads less than 2 GiB in a call
  while (!to.empty()) {
    const ssize_t got =
        ::pread(descriptor_->fd, to.data(), std::min(to.size(), kMostAtOnce), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw_file_error("read", path(), errno);
    if (got == 0) {
      throw Error("'" + path().string() + "' ends before byte " + std::to_string(offset + to.size()),
                  "was it cut while it was read? fetch it again");
    }
    to = to.subspan(static_cast<std::size_t>(got));
    offset += static_cast<std::uint64_t>(got);
  }
  struct stat now {};
  const timespec& then = descriptor_->modified;
  if (::fstat(descriptor_->fd, &now) == 0 && static_cast<std::uint64_t>(now.st_size) == size() &&
      (!descriptor_->may_change || (now.st_mtim.tv_sec == then.tv_sec && now.st_mtim.tv_nsec == then.tv_nsec))) {
    return;
  }
  throw Error("'" + path().string() + "' changed while it was read",
              "run the command again; of a file that goes on changing give a copy");
}

std::string InputFile::text(std::uint64_t offset, std::size_t count) const {
  std::string text(count, '\0');
  read(offset, std::as_writable_bytes(std::span(text)));
  return text;
}

std::string read_bounded_file(const std::filesystem::path& path, std::uint64_t most, std::string_view what) {
  const int fd = open_to_read(path);
  if (fd < 0) throw_file_error("read", path, errno);
  const std::unique_ptr<const int, void (*)(const int*)> closed(&fd, [](const int* open) { ::close(*open); });
  std::string text;
  std::vector<char> block(1U << 16);
  const std::string name = "'" + path.string() + "'";
  while (const ssize_t got = read_when_ready(fd, std::as_writable_bytes(std::span(block)), name)) {
    if (got < 0) throw_file_error("read", path, errno);
    text.append(block.data(), static_cast<std::size_t>(got));
    if (text.size() <= most) continue;
    const std::string limit = most >> 20U == 0 ? std::to_string(most) + " bytes" : std::to_string(most >> 20U) + " MiB";
    throw Error(name + " is longer than " + std::string(what) + " can be: more than " + limit,
                "is it the file that was meant?");
  }
  return text;
}

}  // namespace mformer
