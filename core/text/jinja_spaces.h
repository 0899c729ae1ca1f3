#pragma once

#include <string>
#include <string_view>

namespace mformer {

/// The template with all that Jinja says about spaces done, and its comments gone, so that an engine has to keep what
/// is left: `{%-` and `-%}` take the spaces beside them; of a line on which nothing stands before a block its
/// indentation goes (`lstrip_blocks`, unless `{%+`), and after a block the end of its line (`trim_blocks`, unless
/// `+%}`); of the file its last line feed. minja by itself takes the indentation of `{{` too, and recurses over spaces
/// and comments. What is no template any more comes back so that the engine can say it.
std::string with_spaces_done(std::string_view text);

}  // namespace mformer
