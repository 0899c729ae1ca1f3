#pragma once

#include <string>
#include <string_view>

namespace mformer {

/// A text as one word of a POSIX shell's command line, so that a hint can be followed as it stands: quoted if it needs
/// to be, with $'…' where it has control characters or bytes that are no UTF-8.
std::string shell_word(std::string_view text);

}  // namespace mformer
