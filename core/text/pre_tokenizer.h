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
#include "core/text/text_place.h"

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

  /// Which pieces a metaspace step puts its mark before, if they don't start with it.
  enum class Prepend { always, never, at_start };

  /// Puts a space before each piece that does not start with one and goes on no other text.
  void add_prefix_space();
  /// Writes `mark` for each space, and before the pieces that `prepend` says.
  void add_metaspace(std::string mark, Prepend prepend);
  /// Cuts at each match, or at each single character of a class. With `invert` what lies between counts as delimiter.
  void add_split(Delimiter delimiter, Behavior behavior, bool invert = false);
  /// Keeps runs of word characters and runs of other characters that are no spaces, and drops the spaces.
  void add_words_and_signs();

  /// Calls `word` with each word of `text` (well-formed UTF-8) in order; never an empty one. Without a step the text is
  /// one word.
  void for_each_word(std::string_view text, TextPlace place, Regex::Scratch& scratch, const Sink& word) const;

 private:
  struct PrefixSpace {};
  struct WordsAndSigns {};
  struct Metaspace {
    std::string mark;
    Prepend prepend;
  };
  struct Split {
    Delimiter delimiter;
    Behavior behavior;
    bool invert;
  };
  using Step = std::variant<PrefixSpace, WordsAndSigns, Metaspace, Split>;

  /// A stretch of text on its way through the steps.
  struct Stretch {
    size_t step;  ///< the next one
    std::string_view text;
    TextPlace place;
    /// What begins at byte `begin` of it, after this step.
    Stretch part(size_t begin, size_t end) const {
      return {step + 1, text.substr(begin, end - begin), begin == 0 ? place : TextPlace::after_other};
    }
  };
  void run(const Stretch& from, Regex::Scratch& scratch, const Sink& word) const;
  void prefix_space(const Stretch& from, Regex::Scratch& scratch, const Sink& word) const;
  void metaspace(const Stretch& from, Regex::Scratch& scratch, const Sink& word) const;
  void split(const Stretch& from, Regex::Scratch& scratch, const Sink& word) const;
  void words_and_signs(const Stretch& from, Regex::Scratch& scratch, const Sink& word) const;

  std::vector<Step> steps_;
};

}  // namespace mformer
