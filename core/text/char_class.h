#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mformer {

/// The ranges of unicode_differences.h as pairs of first and last.
std::vector<std::pair<char32_t, char32_t>> parse_ranges(std::string_view text);

/// A set of characters as a step of the `tokenizers` package has it. Immutable; made on first use.
class CharClass {
 public:
  bool contains(char32_t character) const { return (bits_[character / 64] >> (character % 64U) & 1U) != 0; }

  static const CharClass& numeric();      ///< numbers of any kind (N), Unicode 17
  static const CharClass& word();         ///< letters, marks, decimal digits, connectors, joiners: Rust's \w
  static const CharClass& space();        ///< White_Space
  static const CharClass& punctuation();  ///< ASCII punctuation and P, Unicode 8
  static const CharClass& mark();         ///< combining marks (M), Unicode 9
  static const CharClass& inert();        ///< what normal forms of Unicode 9 leave alone and utf8proc's don't

 private:
  CharClass() : bits_(0x110000 / 64) {}
  static CharClass of_categories(std::string_view name, uint32_t categories);
  void set(std::string_view ranges, bool member);

  std::vector<uint64_t> bits_;
};

/// The small letters of `text` (well-formed UTF-8), each letter for itself, Unicode 17.
std::string lowercase(std::string_view text);

}  // namespace mformer
