#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

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

/// Bytes of the largest file of settings that is read, a config say: in memory JSON takes sixteen times as much at
/// worst.
inline constexpr std::uint64_t kMostJsonBytes = 16UL << 20U;

/// Of the largest index of shards: one of half a million tensors.
inline constexpr std::uint64_t kMostIndexBytes = 64UL << 20U;

/// Of the largest tokenizer; the largest of published models have 35 million.
inline constexpr std::uint64_t kMostTokenizerBytes = 128UL << 20U;

/// All of a file that holds `what` ("a config", for messages), which has at most `most` bytes: a pipe too, of which no
/// more than that is read. Throws Error, naming the path, where it has more or can't be read, and StoppedError as
/// read_when_ready() does.
std::string read_bounded_file(const std::filesystem::path& path, std::uint64_t most, std::string_view what);

}  // namespace mformer
