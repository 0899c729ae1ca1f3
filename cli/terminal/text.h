#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mformer::terminal {

/// Columns that UTF-8 `text` takes on a terminal: combining marks take none, East Asian wide characters and emoji two.
/// A byte that is no UTF-8 counts one.
int display_width(std::string_view text);

/// `text` with control characters, escape sequences among them, and bytes that are no UTF-8 written as \n, \t or \x1b.
/// For names and data from outside: printed raw they could move the cursor or hide text.
std::string printable(std::string_view text);

/// The same for a text of many lines: line feeds and tabs stay what they are, and with `colours` the escape sequences
/// of style.h too.
std::string printable_lines(std::string_view text, bool colours = false);

/// JSON text that says the same as `json`, with the control characters beyond ASCII and the marks that reorder text,
/// which JSON allows in strings as they are, as \u escapes.
std::string json_without_controls(std::string_view json);

/// `text` if it has at most `bytes` bytes, else its beginning and its end with " … " between. Never cuts a character.
std::string shorten_middle(std::string_view text, size_t bytes);

/// `text` filled up with spaces to `width` columns; longer text stays as it is.
std::string pad_right(std::string_view text, int width);
std::string pad_left(std::string_view text, int width);

/// Removes the spaces at the end of `line`.
void trim_right(std::string& line);

/// At most `width` columns of `text`; what is cut off leaves "…" ("..." in ASCII). Never cuts a character in two.
std::string shorten(std::string_view text, int width, bool unicode);

/// Lines of at most `width` (>= 1) columns: broken at spaces, inside a word only when the word alone is too long.
/// Keeps line breaks of the text. At least one line.
std::vector<std::string> wrap(std::string_view text, int width);

}  // namespace mformer::terminal
