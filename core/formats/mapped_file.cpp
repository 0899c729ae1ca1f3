#include "core/formats/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "modules_registry/error.h"

namespace mformer {
namespace {

struct Descriptor {
  int fd;
  ~Descriptor() { ::close(fd); }
};

}  // namespace

MappedFile map_file(const std::filesystem::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a named pipe must not block
  if (fd < 0) throw_file_error("read", path, errno);
  const Descriptor descriptor{fd};  // the mapping outlives it
  struct stat status {};
  if (::fstat(fd, &status) != 0) throw_file_error("read", path, errno);
  if (!S_ISREG(status.st_mode)) throw Error("'" + path.string() + "' is not a file");
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size == 0) return {};  // mmap refuses empty mappings

  void* address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (address == MAP_FAILED) throw_file_error("read", path, errno);
  std::shared_ptr<const void> owner(address, [size](const void* mapped) { ::munmap(const_cast<void*>(mapped), size); });
  return {{static_cast<const std::byte*>(address), size}, std::move(owner)};
}

}  // namespace mformer
