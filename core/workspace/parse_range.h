#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace mformer {

/// "2" or "0-3" as two numbers of at most nine digits, in whatever order; nothing for any other text.
std::optional<std::pair<std::int64_t, std::int64_t>> read_range(const std::string& text);

/// "2" or "0-3" as an inclusive range within 0 … count − 1; empty text = everything. `what` names the option in errors.
/// Throws UsageError for anything else.
std::pair<std::int64_t, std::int64_t> parse_range(const std::string& text, std::int64_t count, const std::string& what);

}  // namespace mformer
