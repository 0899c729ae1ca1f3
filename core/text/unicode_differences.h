#pragma once

#include <span>
#include <string_view>

namespace mformer {

/// The `tokenizers` package and the libraries of Debian 12 know different versions of Unicode: its regular expressions
/// (Oniguruma) 16 where Debian's know 14, its normal forms and accents 9, its punctuation 8, its digits and small
/// letters 17. What differs is recorded here, measured over all code points by
/// tests/data/tokenizer/unicode_differences.py.

/// A class of characters as the package has it: the library's, with `added` and without `removed`. Both are hexadecimal
/// code points and ranges of them, with spaces between: "9-d 20 85".
struct ClassDifference {
  std::string_view name, added, removed;
};

struct LetterPair {
  char32_t capital, small;
};

/// POSIX brackets of patterns ("alpha" for [[:alpha:]]); "word" is also \w, "digit" \d. Library: Oniguruma.
std::span<const ClassDifference> posix_differences();

/// Properties of patterns ("lu" for \p{Lu} and its aliases). Library: Oniguruma.
std::span<const ClassDifference> property_differences();

/// Names of the properties, with spaces between, that differ too and are refused.
std::string_view refused_properties();

/// Classes of the package's other steps: "numeric" (library: utf8proc's categories N), "word" (L, M, Nd, Nl, Pc),
/// "punctuation" (P), "mark" (M), and "inert", the characters that its normal forms leave alone and utf8proc's don't.
const ClassDifference& class_difference(std::string_view name);

/// Small letters that utf8proc's tolower doesn't know.
std::span<const LetterPair> lowercase_differences();

}  // namespace mformer
