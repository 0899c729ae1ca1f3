#include "core/text/fast_patterns.h"

#include <algorithm>
#include <array>
#include <sstream>

#include "core/text/char_class.h"
#include "core/text/unicode_differences.h"

namespace mformer {
namespace {

constexpr std::array kFast{kGpt2Pattern, kLlama3Pattern, kQwen2Pattern};

constexpr std::string_view kSpaces =
    R"(\x09-\x0d\x20\x85\xa0\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000})";
constexpr std::string_view kNoSpaces =
    R"(\x00-\x08\x0e-\x1f\x21-\x84\x86-\x9f\xa1-\x{167f}\x{1681}-\x{1fff}\x{200b}-\x{2027}\x{202a}-\x{202e}\x{2030}-\x{205e})"
    R"(\x{2060}-\x{2fff}\x{3001}-\x{10ffff})";

/// The members of a property, as they stand between brackets.
std::string members(std::string_view escape, std::string_view name) {
  std::ostringstream out;
  out << escape << std::hex;
  const auto all = property_differences();
  const auto found = std::ranges::find(all, name, &ClassDifference::name);
  for (const auto& [first, last] : parse_ranges(found->added)) {
    out << "\\x{" << static_cast<uint32_t>(first) << "}-\\x{" << static_cast<uint32_t>(last) << '}';
  }
  return out.str();
}

}  // namespace

std::optional<std::string> fast_pcre2_pattern(std::string_view pattern) {
  if (std::ranges::find(kFast, pattern) == kFast.end()) return std::nullopt;
  const std::array<std::pair<std::string_view, std::string>, 4> classes{{{R"(\s)", std::string(kSpaces)},
                                                                         {R"(\S)", std::string(kNoSpaces)},
                                                                         {R"(\p{L})", members(R"(\p{L})", "l")},
                                                                         {R"(\p{N})", members(R"(\p{N})", "n")}}};
  std::string out;
  bool in_brackets = false;
  while (!pattern.empty()) {
    const auto known = std::ranges::find_if(classes, [&](const auto& each) { return pattern.starts_with(each.first); });
    if (known != classes.end()) {
      out += in_brackets ? known->second : "[" + known->second + "]";
      pattern.remove_prefix(known->first.size());
      continue;
    }
    if (pattern.front() == '[') in_brackets = true;
    if (pattern.front() == ']') in_brackets = false;
    out += pattern.front();
    pattern.remove_prefix(1);
  }
  return out;
}

}  // namespace mformer
