#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/text/regex.h"
#include "core/text/text_place.h"

namespace mformer {

/// What a tokenizer.json does to text before it looks for words: the steps of its `normalizer`, in order. Text in and
/// out is well-formed UTF-8. Immutable once made; any number of threads, each with its own Regex::Scratch.
class Normalizer {
 public:
  enum class Form { nfc, nfd, nfkc, nfkd };

  void add_form(Form form);
  void add_lowercase();
  /// Puts `text` before every text that is not empty and goes on no other.
  void add_prepend(std::string text);
  /// Puts `content` in the place of each match. apply() throws Error where the match is empty.
  void add_replace(Regex pattern, std::string content);
  /// Takes white space away at the ends.
  void add_strip(bool left, bool right);
  /// Takes combining marks away; letters that carry their accent within them stay as they are.
  void add_strip_accents();

  bool empty() const { return steps_.empty(); }

  /// `text`, or `memory` with what became of it.
  std::string_view apply(std::string_view text, TextPlace place, std::string& memory, Regex::Scratch& scratch) const;

 private:
  /// Writes the new text and returns true, or returns false where the text stays as it is.
  using Step = std::function<bool(std::string_view text, TextPlace place, std::string& out, Regex::Scratch& scratch)>;
  std::vector<Step> steps_;
};

}  // namespace mformer
