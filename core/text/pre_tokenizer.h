#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/text/regex.h"

namespace mformer {

/// GPT-2's words: contractions, then letters, numbers or other signs with at most one space before them, then spaces.
inline constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

/// The steps that cut text into the words within which pairs are merged. Immutable; any number of threads, each with
/// its own Regex::Scratch.
class PreTokenizer {
 public:
  using Sink = std::function<void(std::string_view)>;

  /// Puts a space before each piece that does not start with one.
  void add_prefix_space();
  /// Makes each match, and each stretch between matches, a piece.
  void add_isolated(Regex pattern);
  /// Drops the matches and keeps what lies between them, or with `keep_matches` the other way round.
  void add_removed(Regex pattern, bool keep_matches);

  /// Calls `word` with each word of `text` (well-formed UTF-8) in order; never an empty one.
  void for_each_word(std::string_view text, Regex::Scratch& scratch, const Sink& word) const;

 private:
  enum class Action { prefix_space, keep_all, keep_matches, keep_gaps };
  struct Step {
    Action action;
    std::optional<Regex> pattern;  // none for prefix_space
  };
  void run(size_t step, std::string_view text, Regex::Scratch& scratch, const Sink& word) const;
  void cut(size_t step, std::string_view text, Regex::Scratch& scratch, const Sink& word) const;

  std::vector<Step> steps_;
};

}  // namespace mformer
