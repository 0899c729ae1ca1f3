#include "core/text/char_class.h"

#include <utf8proc.h>

#include <charconv>
#include <unordered_map>

#include "core/text/unicode_differences.h"
#include "core/text/utf8.h"

namespace mformer {
namespace {

constexpr char32_t kDottedCapitalI = 0x130;
constexpr std::string_view kSmallDottedI = "i\xCC\x87";

constexpr uint32_t bits_of(auto... categories) {
  return ((1U << static_cast<unsigned>(categories)) | ...);
}

constexpr uint32_t kLetters = bits_of(UTF8PROC_CATEGORY_LU, UTF8PROC_CATEGORY_LL, UTF8PROC_CATEGORY_LT,
                                      UTF8PROC_CATEGORY_LM, UTF8PROC_CATEGORY_LO);
constexpr uint32_t kMarks = bits_of(UTF8PROC_CATEGORY_MN, UTF8PROC_CATEGORY_MC, UTF8PROC_CATEGORY_ME);
constexpr uint32_t kNumbers = bits_of(UTF8PROC_CATEGORY_ND, UTF8PROC_CATEGORY_NL, UTF8PROC_CATEGORY_NO);
constexpr uint32_t kPunctuation =
    bits_of(UTF8PROC_CATEGORY_PC, UTF8PROC_CATEGORY_PD, UTF8PROC_CATEGORY_PS, UTF8PROC_CATEGORY_PE,
            UTF8PROC_CATEGORY_PI, UTF8PROC_CATEGORY_PF, UTF8PROC_CATEGORY_PO);

std::unordered_map<char32_t, char32_t> new_small_letters() {
  std::unordered_map<char32_t, char32_t> letters;
  for (const auto& [capital, small] : lowercase_differences()) letters.emplace(capital, small);
  return letters;
}

}  // namespace

std::vector<std::pair<char32_t, char32_t>> parse_ranges(std::string_view text) {
  std::vector<std::pair<char32_t, char32_t>> ranges;
  const char* at = text.data();
  const char* const end = at + text.size();
  const auto number = [&] {
    uint32_t value = 0;
    at = std::from_chars(at, end, value, 16).ptr;
    return static_cast<char32_t>(value);
  };
  while (at < end) {
    const char32_t first = number();
    const bool range = at < end && *at == '-';
    if (range) ++at;
    ranges.emplace_back(first, range ? number() : first);
    if (at < end) ++at;  // the space
  }
  return ranges;
}

void CharClass::set(std::string_view ranges, bool member) {
  for (const auto& [first, last] : parse_ranges(ranges)) {
    for (char32_t each = first; each <= last; ++each) {
      const uint64_t bit = uint64_t{1} << (each % 64U);
      bits_[each / 64] = member ? bits_[each / 64] | bit : bits_[each / 64] & ~bit;
    }
  }
}

CharClass CharClass::of_categories(std::string_view name, uint32_t categories) {
  CharClass result;
  for (char32_t each = 0; each < 0x110000 && categories != 0; ++each) {
    const auto category = static_cast<unsigned>(utf8proc_category(static_cast<utf8proc_int32_t>(each)));
    if ((categories >> category & 1U) != 0) result.bits_[each / 64] |= uint64_t{1} << (each % 64U);
  }
  const ClassDifference& difference = class_difference(name);
  result.set(difference.added, true);
  result.set(difference.removed, false);
  return result;
}

const CharClass& CharClass::numeric() {
  static const CharClass kClass = of_categories("numeric", kNumbers);
  return kClass;
}

const CharClass& CharClass::word() {
  static const CharClass kClass = of_categories(
      "word", kLetters | kMarks | bits_of(UTF8PROC_CATEGORY_ND, UTF8PROC_CATEGORY_NL, UTF8PROC_CATEGORY_PC));
  return kClass;
}

const CharClass& CharClass::space() {
  static const CharClass kClass = [] {
    CharClass spaces;
    spaces.set("9-d 20 85 a0 1680 2000-200a 2028-2029 202f 205f 3000", true);
    return spaces;
  }();
  return kClass;
}

const CharClass& CharClass::punctuation() {
  static const CharClass kClass = of_categories("punctuation", kPunctuation);
  return kClass;
}

const CharClass& CharClass::mark() {
  static const CharClass kClass = of_categories("mark", kMarks);
  return kClass;
}

const CharClass& CharClass::inert() {
  static const CharClass kClass = of_categories("inert", 0);
  return kClass;
}

std::string lowercase(std::string_view text) {
  static const auto kNew = new_small_letters();
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const char32_t letter = utf8_decode(text);
    text.remove_prefix(utf8_length(text));
    if (letter == kDottedCapitalI) {
      out += kSmallDottedI;
    } else if (const auto found = letter < 0x80 ? kNew.end() : kNew.find(letter); found != kNew.end()) {
      utf8_append(out, found->second);
    } else {
      utf8_append(out, static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(letter))));
    }
  }
  return out;
}

}  // namespace mformer
