#include "core/formats/gguf_cursor.h"

#include <algorithm>
#include <bit>

#include "modules_registry/error.h"
#include "modules_registry/printable.h"

namespace mformer {
namespace {

static_assert(std::endian::native == std::endian::little, "GGUF files are little endian and read as they are");

constexpr std::uint64_t kMostHeaderBytes = 100'000'000;  // that of Qwen, with 151,936 tokens, has 6 MB
constexpr std::uint64_t kGgufWindow = std::uint64_t{1} << 20;

bool is_wholly_utf8(std::string_view text) {
  while (!text.empty()) {
    const TextCharacter character = first_character(text);
    if (!character.valid) return false;
    text.remove_prefix(character.bytes);
  }
  return true;
}

}  // namespace

void GgufCursor::fail(const std::string& what) const {
  throw Error("'" + file_.path().string() + "' is no GGUF file that can be read: " + what, "fetch the file again");
}

void GgufCursor::take(char* to, std::uint64_t bytes) {
  if (bytes > file_.size() - offset_) fail("it ends within its header");
  if (offset_ + bytes > kMostHeaderBytes) fail("its header is longer than 100 MB");
  while (bytes > 0) {
    if (offset_ - window_at_ >= window_.size()) {
      window_at_ = offset_;
      window_ = file_.text(offset_, std::min(kGgufWindow, file_.size() - offset_));
    }
    const std::uint64_t here = offset_ - window_at_, some = std::min<std::uint64_t>(bytes, window_.size() - here);
    std::memcpy(to, window_.data() + here, some);
    to += some;
    offset_ += some;
    bytes -= some;
  }
}

std::string GgufCursor::text(std::uint64_t most, const std::string& what) {
  const auto length = number<std::uint64_t>();
  if (length > most || length > file_.size() - offset_) {
    fail(what + " has " + std::to_string(length) + " bytes");
  }
  std::string text(length, '\0');
  take(text.data(), length);
  if (!is_wholly_utf8(text)) fail(what + " is not UTF-8");
  return text;
}

std::uint64_t GgufCursor::count(std::uint64_t bytes, std::uint64_t most, const std::string& what) {
  const auto count = number<std::uint64_t>();
  if (count > most || count > (file_.size() - offset_) / bytes) {
    fail("it says that it has " + std::to_string(count) + " " + what);
  }
  return count;
}

}  // namespace mformer
