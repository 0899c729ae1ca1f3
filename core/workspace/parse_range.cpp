#include "core/workspace/parse_range.h"

#include <algorithm>

#include "modules_registry/error.h"

namespace mformer {
namespace {

std::optional<std::int64_t> read_number(const std::string& text) {
  const bool digits = std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!digits || text.empty() || text.size() > 9) return std::nullopt;
  return std::stoll(text);
}

}  // namespace

std::optional<std::pair<std::int64_t, std::int64_t>> read_range(const std::string& text) {
  const std::size_t dash = text.find('-');
  const auto first = read_number(text.substr(0, dash));
  const auto last = dash == std::string::npos ? first : read_number(text.substr(dash + 1));
  if (!first.has_value() || !last.has_value()) return std::nullopt;
  return std::pair{*first, *last};
}

std::pair<std::int64_t, std::int64_t> parse_range(const std::string& text, std::int64_t count,
                                                  const std::string& what) {
  if (text.empty()) return {0, count - 1};
  const auto range = read_range(text);
  if (!range.has_value()) {
    throw UsageError(what + " '" + text.substr(0, 40) + "' is no number or range", "write for example 2 or 0-3");
  }
  if (range->second < range->first || range->second >= count) {
    throw UsageError(what + " '" + text + "' does not lie within 0-" + std::to_string(count - 1),
                     "a range goes from the smaller to the larger number");
  }
  return *range;
}

}  // namespace mformer
