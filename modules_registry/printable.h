#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace mformer {

/// The character at the front of a text; a byte that starts no valid UTF-8 sequence stands for itself.
struct TextCharacter {
  char32_t code;
  std::size_t bytes;  ///< 1 to 4
  bool valid;         ///< UTF-8: the shortest form, no surrogate
};

/// `text` must not be empty.
TextCharacter first_character(std::string_view text);

/// Characters that do not show, or that change how others are shown: control codes (C0, DEL, C1), marks that reverse or
/// reorder the text, line separators, and characters without width that join nothing. The joiners U+200C and U+200D,
/// which some scripts need, are none of them.
bool is_control(char32_t code);

/// How printable() writes a control character or a broken byte: \n, \t, \x1b or \u202e.
std::string escaped(const TextCharacter& character);

/// `text` with control characters, escape sequences among them, and bytes that are no UTF-8 written as \n, \t, \x1b or
/// \u202e. For names and data from outside: printed raw they could move the cursor or hide text.
std::string printable(std::string_view text);

/// Whether printable() leaves the text as it is.
bool is_printable(std::string_view text);

}  // namespace mformer
