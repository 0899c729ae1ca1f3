#pragma once

#include <string>
#include <string_view>

namespace mformer {

/// A name from a file, in quotes, fit for a one-line message: control characters become '?', and of names longer than
/// 120 bytes only the beginning is shown.
std::string quoted_name(std::string_view name);

}  // namespace mformer
