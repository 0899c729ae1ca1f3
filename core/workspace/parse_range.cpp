#include "core/workspace/parse_range.h"

#include <regex>

#include "modules_registry/error.h"

namespace mformer {

std::pair<std::int64_t, std::int64_t> parse_range(const std::string& text, std::int64_t count,
                                                  const std::string& what) {
  if (text.empty()) return {0, count - 1};
  std::smatch match;
  if (!std::regex_match(text, match, std::regex(R"((\d{1,9})(?:-(\d{1,9}))?)"))) {
    throw UsageError(what + " '" + text + "' is no number or range", "write for example 2 or 0-3");
  }
  const std::int64_t first = std::stoll(match[1]);
  const std::int64_t last = match[2].matched ? std::stoll(match[2]) : first;
  if (last < first || last >= count) {
    throw UsageError(what + " '" + text + "' does not lie within 0-" + std::to_string(count - 1),
                     "a range goes from the smaller to the larger number");
  }
  return {first, last};
}

}  // namespace mformer
