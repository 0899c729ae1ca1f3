#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/text/char_class.h"
#include "core/text/fast_patterns.h"
#include "core/text/regex.h"

namespace mformer {

/// The steps that cut text into the words within which pairs are merged. Immutable; any number of threads, each with
/// its own Regex::Scratch.
class PreTokenizer {
 public:
  using Sink = std::function<void(std::string_view)>;

  /// What separates words.
  using Delimiter = std::variant<Regex, const CharClass*>;

  /// What becomes of the delimiters that a step finds: each a piece of its own; dropped; joined to the stretch before
  /// or after; or joined to other delimiters beside it.
  enum class Behavior { isolated, removed, merged_with_previous, merged_with_next, contiguous };

  /// Puts a space before each piece that does not start with one.
  void add_prefix_space();
  /// Cuts at each match, or at each single character of a class. With `invert` what lies between counts as delimiter.
  void add_split(Delimiter delimiter, Behavior behavior, bool invert = false);
  /// Keeps runs of word characters and runs of other characters that are no spaces, and drops the spaces.
  void add_words_and_signs();

  /// Calls `word` with each word of `text` (well-formed UTF-8) in order; never an empty one.
  void for_each_word(std::string_view text, Regex::Scratch& scratch, const Sink& word) const;

 private:
  struct PrefixSpace {};
  struct WordsAndSigns {};
  struct Split {
    Delimiter delimiter;
    Behavior behavior;
    bool invert;
  };
  using Step = std::variant<PrefixSpace, WordsAndSigns, Split>;

  void run(size_t step, std::string_view text, Regex::Scratch& scratch, const Sink& word) const;
  void split(size_t step, std::string_view text, Regex::Scratch& scratch, const Sink& word) const;
  void words_and_signs(size_t step, std::string_view text, Regex::Scratch& scratch, const Sink& word) const;

  std::vector<Step> steps_;
};

}  // namespace mformer
