#include "core/text/byte_level.h"

#include <cstdint>

#include "core/text/utf8.h"

namespace mformer {
namespace {

constexpr char32_t kFirstStandIn = 0x100;
constexpr size_t kStandIns = 68;

bool is_printable_latin1(unsigned byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

/// The byte of each letter, by code point; -1 for characters that are no letter.
const std::array<int16_t, kFirstStandIn + kStandIns>& letter_bytes() {
  static const auto table = [] {
    std::array<int16_t, kFirstStandIn + kStandIns> bytes{};
    bytes.fill(-1);
    for (unsigned byte = 0; byte < 256; ++byte) {
      bytes.at(utf8_decode(byte_letters().at(byte))) = static_cast<int16_t>(byte);
    }
    return bytes;
  }();
  return table;
}

}  // namespace

const std::array<std::string, 256>& byte_letters() {
  static const auto letters = [] {
    std::array<std::string, 256> table;
    char32_t next = kFirstStandIn;
    for (unsigned byte = 0; byte < 256; ++byte) {
      utf8_append(table.at(byte), is_printable_latin1(byte) ? static_cast<char32_t>(byte) : next++);
    }
    return table;
  }();
  return letters;
}

std::string to_byte_letters(std::string_view bytes) {
  std::string letters;
  for (const char byte : bytes) letters += byte_letters().at(static_cast<uint8_t>(byte));
  return letters;
}

std::optional<std::string> from_byte_letters(std::string_view token) {
  std::string bytes;
  while (!token.empty()) {
    const size_t length = utf8_length(token);
    if (length == 0) return std::nullopt;
    const char32_t letter = utf8_decode(token);
    if (letter >= letter_bytes().size() || letter_bytes().at(letter) < 0) return std::nullopt;
    bytes += static_cast<char>(letter_bytes().at(letter));
    token.remove_prefix(length);
  }
  return bytes;
}

}  // namespace mformer
