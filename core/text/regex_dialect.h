#pragma once

#include <string>
#include <string_view>

namespace mformer {

/// A pattern of a tokenizer.json as PCRE2 has to be given it. The `tokenizers` package matches with Oniguruma and
/// Unicode 16; PCRE2 of Debian 12 knows Unicode 14 and counts U+180E as a space. So \s, \p{L}, \p{N}, \p{M}, \p{P} and
/// \w are written out with the characters that PCRE2 lacks. \w is the word character of added tokens.
/// Throws Error naming the pattern when it has another class of characters, whose Unicode version would be PCRE2's.
std::string to_pcre2(std::string_view pattern);

}  // namespace mformer
