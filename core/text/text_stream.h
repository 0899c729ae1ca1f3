#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "core/formats/input_file.h"
#include "core/text/gzip_reader.h"

namespace mformer {

/// The text of a file from beginning to end, a part of it at a time. Nothing is mapped: a file that is cut while it is
/// read gives an Error.
class TextStream {
 public:
  /// `gzip`: the file is packed. Throws Error, here and below, when the file can't be read or unpacked.
  TextStream(const std::filesystem::path& file, bool gzip);

  /// At least the next `bytes` bytes, or all that are left; valid until the next call of a member.
  std::string_view peek(std::size_t bytes);
  /// Goes on after the next `bytes` bytes, which were peeked at.
  void consume(std::size_t bytes);

  /// Bytes of the file that were needed so far; of a packed file, packed ones.
  std::int64_t bytes_read() const { return static_cast<std::int64_t>(offset_); }

 private:
  std::size_t read_file(std::span<std::byte> to);

  InputFile file_;
  std::uint64_t offset_ = 0;
  std::unique_ptr<GzipReader> gzip_;
  std::string buffer_;
  std::size_t begin_ = 0;
  bool ended_ = false;
};

}  // namespace mformer
