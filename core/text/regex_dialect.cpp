#include "core/text/regex_dialect.h"

#include <array>
#include <optional>

#include "modules_registry/error.h"

namespace mformer {
namespace {

// Unicode 15 to 16 added these; later versions of PCRE2 know them already, where naming them twice does no harm.
constexpr std::string_view kNewLetters =
    R"(\x{1c89}-\x{1c8a}\x{a7cb}-\x{a7cd}\x{a7da}-\x{a7dc}\x{105c0}-\x{105f3}\x{10d4a}-\x{10d65}\x{10d6f}-\x{10d85})"
    R"(\x{10ec2}-\x{10ec4}\x{1123f}-\x{11240}\x{11380}-\x{11389}\x{1138b}\x{1138e}\x{11390}-\x{113b5}\x{113b7}\x{113d1})"
    R"(\x{113d3}\x{11bc0}-\x{11be0}\x{11f02}\x{11f04}-\x{11f10}\x{11f12}-\x{11f33}\x{1342f}\x{13441}-\x{13446})"
    R"(\x{13460}-\x{143fa}\x{16100}-\x{1611d}\x{16d40}-\x{16d6c}\x{18cff}\x{1b132}\x{1b155}\x{1df25}-\x{1df2a})"
    R"(\x{1e030}-\x{1e06d}\x{1e4d0}-\x{1e4eb}\x{1e5d0}-\x{1e5ed}\x{1e5f0}\x{2b739}\x{2ebf0}-\x{2ee5d}\x{31350}-\x{323af})";
constexpr std::string_view kNewDecimals =
    R"(\x{10d40}-\x{10d49}\x{116d0}-\x{116e3}\x{11bf0}-\x{11bf9}\x{11f50}-\x{11f59}\x{16130}-\x{16139}\x{16d70}-\x{16d79})"
    R"(\x{1ccf0}-\x{1ccf9}\x{1e4f0}-\x{1e4f9}\x{1e5f1}-\x{1e5fa})";
constexpr std::string_view kNewOtherNumbers = R"(\x{1d2c0}-\x{1d2d3})";
constexpr std::string_view kNewMarks =
    R"(\x{897}\x{cf3}\x{ece}\x{10d69}-\x{10d6d}\x{10efc}-\x{10eff}\x{11241}\x{113b8}-\x{113c0}\x{113c2}\x{113c5})"
    R"(\x{113c7}-\x{113ca}\x{113cc}-\x{113d0}\x{113d2}\x{113e1}-\x{113e2}\x{11f00}-\x{11f01}\x{11f03}\x{11f34}-\x{11f3a})"
    R"(\x{11f3e}-\x{11f42}\x{11f5a}\x{13440}\x{13447}-\x{13455}\x{1611e}-\x{1612f}\x{1e08f}\x{1e4ec}-\x{1e4ef})"
    R"(\x{1e5ee}-\x{1e5ef})";
constexpr std::string_view kNewPunctuation =
    R"(\x{1b4e}-\x{1b4f}\x{1b7f}\x{10d6e}\x{113d4}-\x{113d5}\x{113d7}-\x{113d8}\x{11b00}-\x{11b09}\x{11be1})"
    R"(\x{11f43}-\x{11f4f}\x{16d6d}-\x{16d6f}\x{1e5ff})";
constexpr std::string_view kSpaces =
    R"(\x09-\x0d\x20\x85\xa0\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000})";
constexpr std::string_view kNoSpaces =
    R"(\x00-\x08\x0e-\x1f\x21-\x84\x86-\x9f\xa1-\x{167f}\x{1681}-\x{1fff}\x{200b}-\x{2027}\x{202a}-\x{202e}\x{2030}-\x{205e})"
    R"(\x{2060}-\x{2fff}\x{3001}-\x{10ffff})";

constexpr std::string_view kWordClasses = R"(\p{Alphabetic}\p{M}\p{Nd}\p{Pc})";

std::string joined(auto... parts) {
  std::string text;
  (text.append(parts), ...);
  return text;
}

/// The members of a class, as they stand between brackets; nothing when `escape` is no class that is supported.
std::optional<std::string> class_members(std::string_view escape) {
  if (escape == R"(\s)") return std::string(kSpaces);
  if (escape == R"(\S)") return std::string(kNoSpaces);
  if (escape == R"(\p{L})") return joined(escape, kNewLetters);
  if (escape == R"(\p{N})") return joined(escape, kNewDecimals, kNewOtherNumbers);
  if (escape == R"(\p{M})") return joined(escape, kNewMarks);
  if (escape == R"(\p{P})") return joined(escape, kNewPunctuation);
  return std::nullopt;
}

/// The escape that starts at the backslash `pattern[at]`, with its braces if it has some.
std::string_view escape_at(std::string_view pattern, size_t at) {
  size_t end = at + 2;
  const bool has_name = pattern.substr(at + 1, 1) == "p" || pattern.substr(at + 1, 1) == "P";
  if (has_name && pattern.substr(end, 1) == "{") end = pattern.find('}', end) + 1;
  return pattern.substr(at, end > at ? end - at : std::string_view::npos);
}

bool is_single_character(std::string_view escape) {
  if (escape.size() != 2) return false;
  const auto byte = static_cast<unsigned char>(escape[1]);
  const bool letter_or_digit =
      (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z');
  return (!letter_or_digit && byte < 0x80) || std::string_view("nrtf").find(escape[1]) != std::string_view::npos;
}

[[noreturn]] void refuse(std::string_view pattern, std::string_view what) {
  throw Error("the pattern '" + std::string(pattern) + "' uses '" + std::string(what) + "', which is not supported",
              "supported classes of characters: \\s \\S \\p{L} \\p{N} \\p{M} \\p{P}");
}

}  // namespace

std::string word_character_pattern() {
  return joined("[", kWordClasses, R"(\p{Join_Control})", kNewLetters, kNewDecimals, kNewMarks, "]");
}

std::string to_pcre2(std::string_view pattern) {
  std::string out;
  bool in_class = false;
  for (size_t at = 0; at < pattern.size();) {
    if (pattern[at] != '\\') {
      if (in_class && (pattern[at] == '[' || pattern.substr(at, 2) == "&&")) refuse(pattern, "nested class");
      if (pattern[at] == '[') in_class = true;
      if (pattern[at] == ']') in_class = false;
      out += pattern[at++];
      continue;
    }
    const std::string_view escape = escape_at(pattern, at);
    at += escape.size();
    if (const auto members = class_members(escape)) {
      out += in_class ? *members : "[" + *members + "]";
    } else if (is_single_character(escape)) {
      out += escape;
    } else {
      refuse(pattern, escape);
    }
  }
  return out;
}

}  // namespace mformer
