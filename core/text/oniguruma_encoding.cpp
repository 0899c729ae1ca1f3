#include "core/text/oniguruma_encoding.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/text/char_class.h"
#include "core/text/unicode_differences.h"
#include "core/text/utf8.h"

namespace mformer {
namespace {

using Ranges = std::vector<OnigCodePoint>;  // their number, then first and last of each, as the library has it

const OnigEncodingType& original() {
  return OnigEncodingUTF8;
}

std::string_view between(const OnigUChar* begin, const OnigUChar* end) {
  return {reinterpret_cast<const char*>(begin), static_cast<size_t>(end - begin)};
}

/// A property's name without case, spaces, hyphens and low lines, which don't count.
std::string plain_name(std::string_view name) {
  std::string plain;
  for (const char unit : name) {
    if (unit == ' ' || unit == '-' || unit == '_') continue;
    plain += unit >= 'A' && unit <= 'Z' ? static_cast<char>(unit - 'A' + 'a') : unit;
  }
  return plain;
}

int original_ctype(std::string name) {
  auto* begin = reinterpret_cast<OnigUChar*>(name.data());
  return original().property_name_to_ctype(&OnigEncodingUTF8, begin, begin + name.size());
}

/// Adds and takes away by marking where membership begins and ends.
Ranges corrected(OnigCtype ctype, const ClassDifference& difference) {
  OnigCodePoint first_multibyte = 0;
  const OnigCodePoint* known = nullptr;
  original().get_ctype_code_range(ctype, &first_multibyte, &known);
  std::vector<bool> member(0x110000);
  const auto mark = [&](char32_t first, char32_t last, bool value) {
    std::fill(member.begin() + static_cast<std::ptrdiff_t>(first),
              member.begin() + static_cast<std::ptrdiff_t>(last) + 1, value);
  };
  for (OnigCodePoint at = 0; at < known[0]; ++at) {
    mark(known[2 * at + 1], std::min<OnigCodePoint>(known[2 * at + 2], 0x10FFFF), true);
  }
  for (const auto& [first, last] : parse_ranges(difference.added)) mark(first, last, true);
  for (const auto& [first, last] : parse_ranges(difference.removed)) mark(first, last, false);
  Ranges ranges{0};
  for (OnigCodePoint each = 0; each < member.size(); ++each) {
    if (!member[each]) continue;
    if (ranges[0] > 0 && ranges.back() + 1 == each) {
      ranges.back() = each;
    } else {
      ranges.insert(ranges.end(), {each, each});
      ++ranges[0];
    }
  }
  return ranges;
}

struct Tables {
  std::unordered_map<OnigCtype, Ranges> classes;
  std::vector<int> refused;
  int punctuation_property = 0;
};

const Tables& tables() {
  static const Tables kTables = [] {
    Tables made;
    for (const auto all : {posix_differences(), property_differences()}) {
      for (const ClassDifference& each : all) {
        const auto ctype = static_cast<OnigCtype>(original_ctype(std::string(each.name)));
        made.classes.emplace(ctype, corrected(ctype, each));
      }
    }
    std::string name;
    for (const char unit : std::string(refused_properties()) + " word ") {
      if (unit != ' ') {
        name += unit;
      } else {
        made.refused.push_back(original_ctype(std::exchange(name, {})));
      }
    }
    made.punctuation_property = original_ctype("p");
    return made;
  }();
  return kTables;
}

int property_name_to_ctype(OnigEncodingType* /*encoding*/, OnigUChar* begin, OnigUChar* end) {
  const std::string name = plain_name(between(begin, end));
  // Blocks, of which only the names that begin alike are scripts, and ages.
  const bool script = name == "inherited" || name.starts_with("inscriptional");
  if ((name.starts_with("in") && !script) || name.starts_with("age=")) return ONIGERR_INVALID_CHAR_PROPERTY_NAME;
  if (name == "punct") return tables().punctuation_property;
  const int ctype = original().property_name_to_ctype(&OnigEncodingUTF8, begin, end);
  const bool refused = std::ranges::find(tables().refused, ctype) != tables().refused.end();
  return refused ? ONIGERR_INVALID_CHAR_PROPERTY_NAME : ctype;
}

int get_ctype_code_range(OnigCtype ctype, OnigCodePoint* first_multibyte, const OnigCodePoint** ranges) {
  const int result = original().get_ctype_code_range(ctype, first_multibyte, ranges);
  const auto found = tables().classes.find(ctype);
  if (found != tables().classes.end()) *ranges = found->second.data();
  return result;
}

int is_code_ctype(OnigCodePoint code, OnigCtype ctype) {
  constexpr OnigCodePoint kFirstDifference = 0x100;  // below it the library's own table says more than the ranges do
  if (code < kFirstDifference && ctype != ONIGENC_CTYPE_PUNCT) return original().is_code_ctype(code, ctype);
  const auto found = tables().classes.find(ctype);
  if (found == tables().classes.end()) return original().is_code_ctype(code, ctype);
  // Firsts and lasts ascend together: a member has an odd number of bounds before it, or is one.
  const Ranges& ranges = found->second;
  const auto bound = std::lower_bound(ranges.begin() + 1, ranges.end(), code);
  const bool after_first = (bound - ranges.begin()) % 2 == 0;
  return (bound != ranges.end() && (after_first || *bound == code)) ? 1 : 0;
}

/// Capital and small letters of Unicode 15 and 16. U+0264 and U+019B are older and had no capital.
constexpr std::array<LetterPair, 5> kSinglePairs{
    {{0x1C89, 0x1C8A}, {0xA7CB, 0x264}, {0xA7CC, 0xA7CD}, {0xA7DA, 0xA7DB}, {0xA7DC, 0x19B}}};
constexpr char32_t kGaray = 0x10D50;
constexpr char32_t kGarayCapitals = 0x16;
constexpr char32_t kGaraySmall = 0x20;  // after the capital

/// The small letter of a new capital; 0 for every other character.
char32_t small_of(char32_t letter) {
  if (letter >= kGaray && letter < kGaray + kGarayCapitals) return letter + kGaraySmall;
  const auto* found = std::ranges::find(kSinglePairs, letter, &LetterPair::capital);
  return found == kSinglePairs.end() ? 0 : found->small;
}

char32_t capital_of(char32_t letter) {
  if (letter >= kGaray + kGaraySmall && letter < kGaray + kGaraySmall + kGarayCapitals) return letter - kGaraySmall;
  const auto* found = std::ranges::find(kSinglePairs, letter, &LetterPair::small);
  return found == kSinglePairs.end() ? 0 : found->capital;
}

int mbc_case_fold(OnigCaseFoldType flag, const OnigUChar** at, const OnigUChar* end, OnigUChar* to) {
  const std::string_view text = between(*at, end);
  const char32_t small = utf8_length(text) == 0 ? 0 : small_of(utf8_decode(text));
  if (small == 0) return original().mbc_case_fold(flag, at, end, to);
  *at += utf8_length(text);
  std::string folded;
  utf8_append(folded, small);
  std::ranges::copy(folded, to);
  return static_cast<int>(folded.size());
}

int apply_all_case_fold(OnigCaseFoldType flag, OnigApplyAllCaseFoldFunc apply, void* argument) {
  const auto apply_pair = [&](OnigCodePoint capital, OnigCodePoint small) {
    const int result = apply(capital, &small, 1, argument);
    return result != 0 ? result : apply(small, &capital, 1, argument);
  };
  int result = original().apply_all_case_fold(flag, apply, argument);
  for (const LetterPair& pair : kSinglePairs) {
    if (result == 0) result = apply_pair(pair.capital, pair.small);
  }
  for (char32_t each = kGaray; each < kGaray + kGarayCapitals && result == 0; ++each) {
    result = apply_pair(each, each + kGaraySmall);
  }
  return result;
}

int get_case_fold_codes_by_str(OnigCaseFoldType flag, const OnigUChar* at, const OnigUChar* end,
                               OnigCaseFoldCodeItem* items) {
  const std::string_view text = between(at, end);
  const size_t length = utf8_length(text);
  const char32_t letter = length == 0 ? 0 : utf8_decode(text);
  const char32_t other = std::max(small_of(letter), capital_of(letter));
  if (other == 0) return original().get_case_fold_codes_by_str(flag, at, end, items);
  items[0].byte_len = static_cast<int>(length);
  items[0].code_len = 1;
  items[0].code[0] = other;
  return 1;
}

}  // namespace

OnigEncodingType* oniguruma_encoding() {
  static OnigEncodingType kEncoding = [] {
    std::array<OnigEncodingType*, 1> own{&OnigEncodingUTF8};
    onig_initialize(own.data(), static_cast<int>(own.size()));
    OnigEncodingType encoding = OnigEncodingUTF8;
    encoding.property_name_to_ctype = property_name_to_ctype;
    encoding.get_ctype_code_range = get_ctype_code_range;
    encoding.is_code_ctype = is_code_ctype;
    encoding.mbc_case_fold = mbc_case_fold;
    encoding.apply_all_case_fold = apply_all_case_fold;
    encoding.get_case_fold_codes_by_str = get_case_fold_codes_by_str;
    return encoding;
  }();
  static const int kInitialised = onig_initialize_encoding(&kEncoding);
  static_cast<void>(kInitialised);
  return &kEncoding;
}

}  // namespace mformer
