#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace mformer {

/// At most `most` bytes of `text` and "…" where it was cut; never half a character.
std::string shortened(std::string_view text, std::size_t most);

/// A name from a file, in quotes, fit for a one-line message: control characters are escaped (printable.h), and of
/// names longer than 120 bytes only the beginning is shown.
std::string quoted_name(std::string_view name);

}  // namespace mformer
