#include "modules_registry/printable.h"

#include <algorithm>
#include <array>
#include <cstdio>

namespace mformer {
namespace {

struct Range {
  char32_t first, last;
};

/// Ascending. Beside the control codes: soft hyphen, Arabic letter mark, zero width space, directional marks, line and
/// paragraph separators, embeddings and overrides, invisible operators, isolates and deprecated format characters, byte
/// order mark, interlinear annotations, tags.
constexpr Range kControls[] = {{0x00, 0x1F},     {0x7F, 0x9F},     {0xAD, 0xAD},     {0x061C, 0x061C},
                               {0x180E, 0x180E}, {0x200B, 0x200B}, {0x200E, 0x200F}, {0x2028, 0x202E},
                               {0x2060, 0x206F}, {0xFEFF, 0xFEFF}, {0xFFF9, 0xFFFB}, {0xE0000, 0xE007F}};

}  // namespace

TextCharacter first_character(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  const TextCharacter broken{lead, 1, false};
  if (lead < 0x80) return {lead, 1, true};
  const std::size_t bytes = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < bytes) return broken;
  char32_t code = lead & (0xFFU >> (bytes + 1));
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return broken;
    code = code << 6 | (byte(i) & 0x3FU);
  }
  constexpr std::array<char32_t, 5> smallest = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
  if (code < smallest.at(bytes) || surrogate || code > 0x10FFFF) return broken;
  return {code, bytes, true};
}

bool is_control(char32_t code) {
  return std::ranges::any_of(kControls, [&](const Range& r) { return code >= r.first && code <= r.last; });
}

std::string escaped(const TextCharacter& character) {
  if (character.code == '\n') return "\\n";
  if (character.code == '\t') return "\\t";
  if (character.code == '\r') return "\\r";
  std::array<char, 12> buffer{};
  std::snprintf(buffer.data(), buffer.size(), character.code < 0x100 ? "\\x%02x" : "\\u%04x",
                static_cast<unsigned>(character.code));
  return buffer.data();
}

std::string printable(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  while (!text.empty()) {
    const TextCharacter character = first_character(text);
    if (!character.valid || is_control(character.code)) {
      result += escaped(character);
    } else {
      result += text.substr(0, character.bytes);
    }
    text.remove_prefix(character.bytes);
  }
  return result;
}

bool is_printable(std::string_view text) {
  while (!text.empty()) {
    const TextCharacter character = first_character(text);
    if (!character.valid || is_control(character.code)) return false;
    text.remove_prefix(character.bytes);
  }
  return true;
}

}  // namespace mformer
