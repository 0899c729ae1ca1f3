#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "core/text/normalizer.h"
#include "core/text/regex.h"

namespace mformer {

/// What a tokenizer.json does to tokens to make text of them: the steps of its `decoder`, in order. Each step is that
/// of the `tokenizers` package, except that bytes that are no text come out as they are and not as U+FFFD. Immutable
/// once made; any number of threads, each with its own Regex::Scratch.
class Decoder {
 public:
  /// `spaced`: there is no decoder at all, and tokens are joined by spaces.
  explicit Decoder(bool spaced) : spaced_(spaced) {}

  void add_byte_level();
  /// Does in each token what the Replace step of a normalizer does.
  void add_replace(Normalizer replace);
  /// "<0xE2>" becomes its byte.
  void add_byte_fallback();
  void add_fuse();
  /// Takes up to `most` of a character away where each token begins; after a step that joins them, where the text does.
  void add_strip(std::string character, std::size_t most);
  /// `mark` becomes a space; where the text begins, nothing, if `strips_first`.
  void add_metaspace(std::string mark, bool strips_first);

  /// A token after the steps that don't ask where it stands; for decode().
  std::string prepare(const std::string& token, Regex::Scratch& scratch) const;

  /// The bytes that prepared tokens stand for. With `continues` they go on a text, so that what is done where a text
  /// begins is left out.
  std::string decode(std::vector<std::string> tokens, bool continues, Regex::Scratch& scratch) const;

  /// decode() joins the prepared tokens and does no more.
  bool only_joins() const { return !spaced_ && steps_.empty(); }

 private:
  using Tokens = std::vector<std::string>;
  using Step = std::function<void(Tokens& tokens, bool continues, Regex::Scratch& scratch)>;
  bool preparing() const { return !joins_ && steps_.empty(); }

  bool spaced_;
  bool byte_level_ = false;
  Normalizer replace_;
  bool joins_ = false;  // prepared tokens are joined before the steps
  bool fused_ = false;  // some step before the next one to be added joins tokens
  std::vector<Step> steps_;
};

}  // namespace mformer
