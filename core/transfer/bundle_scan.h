#pragma once

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/transfer/transfer.h"
#include "modules_registry/error.h"

namespace mformer {

// What bundle.cpp reads bundles with.

inline constexpr std::string_view kBundleBegins = "mformer bundle 1\n";

[[noreturn]] void fail_bundle(const std::filesystem::path& file, const std::string& what);

/// Reads a bundle from its beginning to its end, and sums all up. Throws Error for what is no regular file: to open a
/// pipe would wait for whoever writes it.
class BundleScan {
 public:
  BundleScan(const std::filesystem::path& file, const Watcher& watcher);

  std::int64_t at() const { return at_; }
  [[noreturn]] void fail(const std::string& what) const { fail_bundle(file_, what); }

  /// With its break, at most 128 bytes.
  std::string line();
  void add(std::string_view text) { sum_.update(as_bytes(text)); }

  /// What some() gives from now on: so many bytes.
  void begin(std::int64_t size);
  /// As many of those as fit, or 0 at their end.
  std::size_t some(std::span<std::byte> piece);
  void pass_over();
  void bytes(std::int64_t size, const std::function<void(Bytes)>& take);

  void end(const std::string& line);
  std::int64_t number(std::string_view digits) const;

 private:
  const std::filesystem::path& file_;
  const Watcher& watcher_;
  std::ifstream in_;
  std::int64_t at_ = 0, total_ = 0, left_ = 0;
  Sha256 sum_;
};

}  // namespace mformer
