#include "core/text/utf8.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace mformer {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

uint8_t byte_at(std::string_view text, size_t index) {
  return static_cast<uint8_t>(text[index]);
}

/// What a lead byte promises: the length of its character and the range of the byte after it, which is where overlong
/// forms, surrogates and values above U+10FFFF are told apart. Length 0: no lead byte.
struct Lead {
  size_t length;
  uint8_t low, high;
};

Lead lead_of(uint8_t byte) {
  if (byte < 0x80) return {1, 0, 0};
  if (byte >= 0xC2 && byte <= 0xDF) return {2, 0x80, 0xBF};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte >= 0xE1 && byte <= 0xEF) return {3, 0x80, 0xBF};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte >= 0xF1 && byte <= 0xF3) return {4, 0x80, 0xBF};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

/// Bytes at the start of `text` that begin a well-formed character, complete or not; 0 if the first one can't.
size_t well_formed_part(std::string_view text, const Lead& lead) {
  if (lead.length <= 1) return lead.length;
  size_t good = 1;
  while (good < lead.length && good < text.size()) {
    const uint8_t low = good == 1 ? lead.low : 0x80;
    const uint8_t high = good == 1 ? lead.high : 0xBF;
    if (byte_at(text, good) < low || byte_at(text, good) > high) break;
    ++good;
  }
  return good;
}

}  // namespace

size_t utf8_length(std::string_view text) {
  if (text.empty()) return 0;
  const Lead lead = lead_of(byte_at(text, 0));
  return lead.length != 0 && well_formed_part(text, lead) == lead.length ? lead.length : 0;
}

char32_t utf8_decode(std::string_view text) {
  const size_t length = lead_of(byte_at(text, 0)).length;
  if (length == 1) return byte_at(text, 0);
  char32_t value = byte_at(text, 0) & (0x7FU >> length);
  for (size_t i = 1; i < length; ++i) value = (value << 6U) | (byte_at(text, i) & 0x3FU);
  return value;
}

void utf8_append(std::string& out, char32_t character) {
  const auto tail = [&](unsigned shift) { out += static_cast<char>(0x80U | ((character >> shift) & 0x3FU)); };
  if (character < 0x80) {
    out += static_cast<char>(character);
  } else if (character < 0x800) {
    out += static_cast<char>(0xC0U | (character >> 6U));
    tail(0);
  } else if (character < 0x10000) {
    out += static_cast<char>(0xE0U | (character >> 12U));
    tail(6);
    tail(0);
  } else {
    out += static_cast<char>(0xF0U | (character >> 18U));
    tail(12);
    tail(6);
    tail(0);
  }
}

size_t utf8_valid_prefix(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    uint64_t eight = 0;
    if (text.size() - at >= sizeof eight) {
      std::memcpy(&eight, text.data() + at, sizeof eight);
      if ((eight & 0x8080808080808080U) == 0) {
        at += sizeof eight;
        continue;
      }
    }
    const size_t length = utf8_length(text.substr(at));
    if (length == 0) break;
    at += length;
  }
  return at;
}

std::string replace_invalid_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const size_t valid = utf8_valid_prefix(text);
    out += text.substr(0, valid);
    text.remove_prefix(valid);
    if (text.empty()) break;
    out += kReplacement;
    const size_t broken = well_formed_part(text, lead_of(byte_at(text, 0)));
    text.remove_prefix(broken == 0 ? 1 : broken);
  }
  return out;
}

}  // namespace mformer
