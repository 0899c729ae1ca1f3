#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace mformer {

/// Bytes of the well-formed UTF-8 character at the start of `text`, 1 to 4; 0 if there is none.
size_t utf8_length(std::string_view text);

/// The first character of `text`, which must be well-formed.
char32_t utf8_decode(std::string_view text);

/// Appends the UTF-8 form of `character`, which must be a Unicode scalar value.
void utf8_append(std::string& out, char32_t character);

/// Bytes from the start of `text` that are well-formed.
size_t utf8_valid_prefix(std::string_view text);

/// `text` with each maximal ill-formed part replaced by U+FFFD, as Rust's from_utf8_lossy and web browsers do.
std::string replace_invalid_utf8(std::string_view text);

}  // namespace mformer
