#include "core/transfer/bundle_scan.h"

namespace mformer {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kPieceOfBundle = std::size_t{1} << 20;

[[noreturn]] void throw_no_bundle(const fs::path& file) {
  throw Error("can't read '" + file.string() + "'", "name a bundle, or the folder of a workspace");
}

const fs::path& regular(const fs::path& file) {
  std::error_code error;
  if (!fs::is_regular_file(file, error)) throw_no_bundle(file);
  return file;
}

}  // namespace

void fail_bundle(const fs::path& file, const std::string& what) {
  throw Error("'" + file.string() + "' is no whole bundle: " + what,
              "make it again with mformer bundle, or copy it again; nothing was taken over");
}

BundleScan::BundleScan(const fs::path& file, const Watcher& watcher)
    : file_(file), watcher_(watcher), in_(regular(file), std::ios::binary) {
  std::error_code error;
  total_ = static_cast<std::int64_t>(fs::file_size(file, error));
  if (error || !in_) throw_no_bundle(file);
}

std::string BundleScan::line() {
  std::string text;
  while (text.size() < 128) {
    char next = 0;
    if (!in_.get(next)) fail("it is cut off");
    ++at_;
    text += next;
    if (next == '\n') break;
  }
  if (text.empty() || text.back() != '\n') fail("it has a line that is too long");
  return text;
}

void BundleScan::begin(std::int64_t size) {
  if (size > total_ - at_) fail("it is cut off");
  left_ = size;
}

std::size_t BundleScan::some(std::span<std::byte> piece) {
  const auto count = static_cast<std::size_t>(std::min<std::int64_t>(left_, static_cast<std::int64_t>(piece.size())));
  if (count == 0) return 0;
  if (!in_.read(reinterpret_cast<char*>(piece.data()), static_cast<std::streamsize>(count))) fail("it is cut off");
  sum_.update(piece.first(count));
  at_ += static_cast<std::int64_t>(count);
  left_ -= static_cast<std::int64_t>(count);
  if (watcher_.stops())
    throw StoppedError("reading the bundle was stopped", "nothing was taken over: the same again begins anew");
  watcher_.tell("check the bundle", at_, total_);
  return count;
}

void BundleScan::pass_over() {
  std::vector<std::byte> piece(kPieceOfBundle);
  while (some(piece) > 0) continue;
}

void BundleScan::bytes(std::int64_t size, const std::function<void(Bytes)>& take) {
  std::vector<std::byte> piece(kPieceOfBundle);
  begin(size);
  while (const std::size_t count = some(piece)) take(Bytes(piece).first(count));
}

void BundleScan::end(const std::string& line) {
  if (line != "end " + sum_.finish_hex() + '\n') fail("its checksum is another, so bytes of it changed");
  if (at_ != total_) fail("something follows its end");
}

std::int64_t BundleScan::number(std::string_view digits) const {
  std::int64_t value = -1;
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (parsed.ec != std::errc() || parsed.ptr != digits.data() + digits.size() || value < 0)
    fail("a size in it is none");
  return value;
}

}  // namespace mformer
