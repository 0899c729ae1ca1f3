#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

namespace mformer {

/// A regular file, open for reading at any place. Unlike a mapping, a file that is cut while it is open gives an error
/// and no signal, and what was read stays in nobody's memory. Copies share the descriptor; reading from many threads
/// is safe.
class InputFile {
 public:
  /// Throws Error, naming the path and the system's reason, when it can't be opened or is no regular file.
  static InputFile open(const std::filesystem::path& path);

  /// Bytes when it was opened.
  std::uint64_t size() const;

  /// Fills `to` with the bytes from `offset` on. Throws Error when the file ends before, can't be read, or was changed
  /// since it was opened, as size and time tell.
  void read(std::uint64_t offset, std::span<std::byte> to) const;

  /// The same as a text of `count` bytes, which must lie in the file.
  std::string text(std::uint64_t offset, std::size_t count) const;

  const std::filesystem::path& path() const;

 private:
  struct Descriptor;
  std::shared_ptr<const Descriptor> descriptor_;
};

}  // namespace mformer
