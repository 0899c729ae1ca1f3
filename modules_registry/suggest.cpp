#include "modules_registry/suggest.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include "modules_registry/printable.h"

namespace mformer {

namespace {

// Names may come from files, and comparing two takes the product of their lengths: longer ones are near to none, and of
// very many the first are asked.
constexpr size_t kLongestNear = 120, kMostAsked = 20'000;

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return std::tolower(c); });
  return out;
}

/// Insertions, deletions, replacements and swaps of neighbours that turn a into b (optimal string alignment).
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before_last(b.size() + 1);
  std::vector<size_t> last(b.size() + 1);
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    before_last = std::exchange(last, row);
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before_last[j - 2] + 1);
    }
  }
  return row[b.size()];
}

/// Its beginning, where it is too long for a hint.
std::string shown(std::string_view name) {
  return name.size() <= kLongestNear ? printable(name) : printable(name.substr(0, kLongestNear / 2)) + "…";
}

/// 'a', 'b' or 'c'
std::string join_alternatives(std::span<const std::string> words) {
  std::string out;
  for (size_t i = 0; i < words.size(); ++i) {
    if (i > 0) out += i + 1 == words.size() ? " or " : ", ";
    out += "'" + printable(words[i]) + "'";
  }
  return out;
}

}  // namespace

std::vector<std::string> suggest(std::string_view word, std::span<const std::string> candidates, size_t limit) {
  if (word.size() > kLongestNear) return {};
  const std::string wanted = lower(word);
  std::vector<std::pair<size_t, std::string>> near;
  for (const std::string& candidate : candidates.first(std::min(candidates.size(), kMostAsked))) {
    if (candidate.size() > kLongestNear) continue;
    const std::string other = lower(candidate);
    const size_t distance = edit_distance(wanted, other);
    const bool begins = wanted.size() >= 2 && other.starts_with(wanted);
    if (begins || 3 * distance <= std::max(wanted.size(), other.size())) near.emplace_back(distance, candidate);
  }
  std::stable_sort(near.begin(), near.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  near.resize(std::min(near.size(), limit));
  std::vector<std::string> words;
  words.reserve(near.size());
  for (auto& [distance, candidate] : near) words.push_back(std::move(candidate));
  return words;
}

std::string suggestion_hint(std::string_view word, std::span<const std::string> candidates, std::string_view plural,
                            std::string_view none) {
  if (candidates.empty()) return std::string(none);
  const std::vector<std::string> near = suggest(word, candidates);
  if (!near.empty()) return "did you mean " + join_alternatives(near) + "?";
  constexpr size_t kMost = 10;
  std::string hint = "known " + std::string(plural) + ": ";
  for (size_t i = 0; i < std::min(candidates.size(), kMost); ++i) hint += (i > 0 ? ", " : "") + shown(candidates[i]);
  return candidates.size() > kMost ? hint + ", …" : hint;
}

}  // namespace mformer
