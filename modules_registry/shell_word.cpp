#include "modules_registry/shell_word.h"

#include <array>
#include <cctype>
#include <cstdio>

#include "modules_registry/printable.h"

namespace mformer {
namespace {

bool is_plain(std::string_view text) {
  constexpr std::string_view kPlain = "_-./@%+=:,";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80 && std::isalnum(byte) == 0 && kPlain.find(c) == std::string_view::npos) return false;
  }
  return !text.empty();
}

/// Every byte that is not printable ASCII as an octal escape of three digits, which no digit after it can lengthen.
std::string in_escapes(std::string_view text) {
  std::string word = "$'";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\'' || c == '\\') {
      word += {'\\', c};
    } else if (byte >= 0x20 && byte < 0x7F) {
      word += c;
    } else {
      std::array<char, 8> octal{};
      std::snprintf(octal.data(), octal.size(), "\\%03o", static_cast<unsigned>(byte));
      word += octal.data();
    }
  }
  return word + "'";
}

}  // namespace

std::string shell_word(std::string_view text) {
  if (!is_printable(text)) return in_escapes(text);
  if (is_plain(text)) return std::string(text);
  std::string word = "'";
  for (const char c : text) word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return word + "'";
}

}  // namespace mformer
