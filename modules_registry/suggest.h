#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mformer {

/// The candidates nearest to a misspelt word, best first, at most `limit`: edit distance (a swap of neighbours counts
/// once, case not at all) of at most a third of the longer word, or the word is the beginning of the candidate.
std::vector<std::string> suggest(std::string_view word, std::span<const std::string> candidates, size_t limit = 3);

/// The same as a hint for an Error: "did you mean 'base' or 'base-2'?"; if nothing is near, "known <plural>: a, b, c"
/// (at most ten); if there are no candidates, `none`.
std::string suggestion_hint(std::string_view word, std::span<const std::string> candidates, std::string_view plural,
                            std::string_view none);

}  // namespace mformer
