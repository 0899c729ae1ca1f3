#include "cli/terminal/text.h"

#include <locale.h>
#include <wchar.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "modules_registry/printable.h"

namespace mformer::terminal {
namespace {

// glibc's own width tables, whatever locale the process runs in.
int code_width(char32_t code) {
  if (code < 0x80) return code < 0x20 || code == 0x7F ? 0 : 1;
  static const locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  if (utf8 == nullptr) return 1;
  const locale_t before = uselocale(utf8);
  const int width = wcwidth(static_cast<wchar_t>(code));
  uselocale(before);
  return std::max(width, 0);
}

int width_of(const TextCharacter& character) {
  return character.valid ? code_width(character.code) : 1;
}

// Bytes of the sequence of style.h that `text` begins with (weights 1 and 2, colours 38 and 48, 0 to end them); 0 if
// there is none. Others, which move the cursor or hide text, are not among them.
size_t bytes_of_style(std::string_view text) {
  constexpr size_t longest = 24;
  if (!text.starts_with("\x1b[")) return 0;
  const size_t end = text.find_first_not_of("0123456789;", 2);
  if (end == std::string_view::npos || end >= longest || text[end] != 'm') return 0;
  const std::string_view codes = text.substr(2, end - 2);
  const bool ours =
      codes == "0" || codes == "1" || codes == "2" || codes.starts_with("38;") || codes.starts_with("48;");
  return ours ? end + 1 : 0;
}

// `text` with its controls and broken bytes escaped, but for what `kept` gives the length of.
template <class Kept>
std::string escape(std::string_view text, const Kept& kept) {
  std::string result;
  result.reserve(text.size());
  while (!text.empty()) {
    const TextCharacter character = first_character(text);
    size_t bytes = character.bytes;
    if (character.valid && !is_control(character.code)) {
      result += text.substr(0, bytes);
    } else if (const size_t whole = kept(text); whole > 0) {
      bytes = whole;
      result += text.substr(0, bytes);
    } else {
      result += escaped(character);
    }
    text.remove_prefix(bytes);
  }
  return result;
}

// Bytes of the longest beginning of `text` that takes at most `width` columns.
size_t bytes_that_fit(std::string_view text, int width) {
  size_t bytes = 0;
  while (bytes < text.size()) {
    const TextCharacter character = first_character(text.substr(bytes));
    width -= width_of(character);
    if (width < 0) break;
    bytes += character.bytes;
  }
  return bytes;
}

std::string spaces(int count) {
  return std::string(static_cast<size_t>(std::max(count, 0)), ' ');
}

// The first line of `text` and how many bytes it used, the space or line feed that it was broken at included.
struct Piece {
  std::string_view line;
  size_t used;
};

Piece next_line(std::string_view text, int width) {
  const size_t feed = text.find('\n');
  const std::string_view paragraph = text.substr(0, feed);
  size_t fits = bytes_that_fit(paragraph, width);
  if (fits == paragraph.size()) return {paragraph, feed == std::string_view::npos ? text.size() : feed + 1};
  const size_t space = paragraph.rfind(' ', fits);
  if (space != std::string_view::npos && space > 0) return {paragraph.substr(0, space), space + 1};
  // A character wider than the line is given a line of its own: something must be used up.
  fits = std::max(fits, first_character(paragraph).bytes);
  return {paragraph.substr(0, fits), fits};
}

}  // namespace

int display_width(std::string_view text) {
  int width = 0;
  while (!text.empty()) {
    const TextCharacter character = first_character(text);
    width += width_of(character);
    text.remove_prefix(character.bytes);
  }
  return width;
}

std::string printable(std::string_view text) {
  return escape(text, [](std::string_view) { return size_t{0}; });
}

std::string printable_lines(std::string_view text, bool colours) {
  return escape(text, [colours](std::string_view rest) -> size_t {
    if (rest[0] == '\n' || rest[0] == '\t') return 1;
    return colours ? bytes_of_style(rest) : 0;
  });
}

std::string json_without_controls(std::string_view json) {
  std::string result;
  result.reserve(json.size());
  while (!json.empty()) {
    const TextCharacter character = first_character(json);
    if (character.code >= 0x7F && is_control(character.code)) {
      std::array<char, 12> buffer{};
      std::snprintf(buffer.data(), buffer.size(), "\\u%04x", static_cast<unsigned>(character.code));
      result += buffer.data();
    } else {
      result += json.substr(0, character.bytes);
    }
    json.remove_prefix(character.bytes);
  }
  return result;
}

std::string shorten_middle(std::string_view text, size_t bytes) {
  constexpr std::string_view gap = " … ";
  if (text.size() <= bytes) return std::string(text);
  const size_t room = bytes - std::min(bytes, gap.size());
  const auto is_inside = [&](size_t at) { return (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80; };
  size_t front = room - room / 3;
  size_t back = text.size() - room / 3;
  while (front > 0 && is_inside(front)) --front;
  while (back < text.size() && is_inside(back)) ++back;
  return std::string(text.substr(0, front)).append(gap).append(text.substr(back));
}

std::string pad_right(std::string_view text, int width) {
  return std::string(text) + spaces(width - display_width(text));
}

std::string pad_left(std::string_view text, int width) {
  return spaces(width - display_width(text)) + std::string(text);
}

void trim_right(std::string& line) {
  line.erase(line.find_last_not_of(' ') + 1);
}

std::string shorten(std::string_view text, int width, bool unicode) {
  if (display_width(text) <= width) return std::string(text);
  const std::string_view ellipsis = unicode ? "…" : "...";
  const int room = width - display_width(ellipsis);
  if (room <= 0) return std::string(text.substr(0, bytes_that_fit(text, width)));
  return std::string(text.substr(0, bytes_that_fit(text, room))).append(ellipsis);
}

std::vector<std::string> wrap(std::string_view text, int width) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const Piece piece = next_line(text, std::max(width, 1));
    lines.emplace_back(piece.line);
    text.remove_prefix(piece.used);
  }
  if (lines.empty()) lines.emplace_back();
  return lines;
}

}  // namespace mformer::terminal
