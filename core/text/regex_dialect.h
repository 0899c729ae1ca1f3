#pragma once

#include <string>
#include <string_view>

namespace mformer {

/// A pattern of a tokenizer.json as PCRE2 has to be given it. The `tokenizers` package matches with Oniguruma and
/// Unicode 16; PCRE2 of Debian 12 knows Unicode 14 and counts U+180E as a space. So \s, \S, \p{L}, \p{N}, \p{M} and
/// \p{P} are written out with the characters that PCRE2 lacks.
/// Throws Error naming the pattern when it has another class of characters: Oniguruma's \w, for one, depends on what
/// stands beside it.
std::string to_pcre2(std::string_view pattern);

/// A PCRE2 pattern of one character of a word as the rules for added tokens (Rust's) have it; joiners are part of
/// words.
std::string word_character_pattern();

}  // namespace mformer
