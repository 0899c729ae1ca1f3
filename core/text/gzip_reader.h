#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

namespace mformer {

/// Unpacks gzip (RFC 1952), one or more members in a row, in constant memory.
class GzipReader {
 public:
  /// A file that unpacks to more than so many times its size is taken for a bomb; text is some 3 to 20 times as large.
  static constexpr std::uint64_t kMostGrowth = 250;
  /// Below so many bytes nothing is.
  static constexpr std::uint64_t kAlwaysAllowed = 64UL << 20U;

  /// `read` fills a buffer with the next packed bytes and says how many there were, 0 at the end. `name` is for
  /// messages.
  GzipReader(std::function<std::size_t(std::span<std::byte>)> read, std::string name);
  ~GzipReader();
  GzipReader(const GzipReader&) = delete;
  GzipReader& operator=(const GzipReader&) = delete;

  /// The next unpacked bytes, at most `to.size()`; 0 at the end. Throws Error for what is no gzip, damaged, cut or a
  /// bomb.
  std::size_t read(std::span<std::byte> to);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace mformer
