#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>

#include "core/formats/input_file.h"

namespace mformer {

/// Reads the header of a GGUF file from its beginning on; a part of gguf_header.cpp. Throws Error where the file ends,
/// or the header goes on beyond the limit.
class GgufCursor {
 public:
  explicit GgufCursor(const InputFile& file) : file_(file) {}

  template <class Number>
  Number number() {
    static_assert(std::is_arithmetic_v<Number>);
    Number value;
    take(reinterpret_cast<char*>(&value), sizeof value);
    return value;
  }

  /// A length and as many bytes, which must be UTF-8 and at most `most`; `what` stands for it in errors.
  std::string text(std::uint64_t most, const std::string& what);

  /// A number of things of which each takes at least `bytes` more bytes of the file, and at most `most`.
  std::uint64_t count(std::uint64_t bytes, std::uint64_t most, const std::string& what);

  std::uint64_t offset() const { return offset_; }
  [[noreturn]] void fail(const std::string& what) const;

 private:
  void take(char* to, std::uint64_t bytes);

  const InputFile& file_;
  std::uint64_t offset_ = 0;
  std::string window_;  ///< Bytes of the file from window_at_ on.
  std::uint64_t window_at_ = 0;
};

}  // namespace mformer
