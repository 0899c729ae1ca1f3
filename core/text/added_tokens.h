#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/text/regex.h"

namespace mformer {

/// A token that is found in the text as it stands, before the text is cut into words.
struct AddedToken {
  int32_t id = 0;
  std::string content;
  bool special = false;      ///< left out by decode(skip_special)
  bool single_word = false;  ///< only where no letter, digit or mark touches it
  bool lstrip = false;       ///< takes the white space before it along
  bool rstrip = false;       ///< takes the white space after it along
  bool normalized = true;    ///< looked for after the others, in what they left
};

/// Finds added tokens in text exactly as the `tokenizers` package does. Immutable; any number of threads.
class AddedTokens {
 public:
  /// Called in order with a stretch of text and id -1, or with the stretch that a token takes and its id.
  using Sink = std::function<void(std::string_view text, int32_t id)>;

  explicit AddedTokens(std::vector<AddedToken> tokens);
  AddedTokens(const AddedTokens&) = delete;
  AddedTokens& operator=(const AddedTokens&) = delete;

  const std::vector<AddedToken>& all() const { return tokens_; }

  /// Cuts `text` (any bytes) at the added tokens; with `special_as_text` the special ones are not looked for.
  void split(std::string_view text, bool special_as_text, Regex::Scratch& scratch, const Sink& sink) const;

 private:
  /// Tokens of one pass, by their first byte and longest first.
  using Pass = std::array<std::vector<const AddedToken*>, 256>;
  void split_pass(const Pass& pass, std::string_view text, bool special_as_text, Regex::Scratch& scratch,
                  const Sink& sink) const;
  bool stands_alone(std::string_view text, size_t begin, size_t end, Regex::Scratch& scratch) const;

  std::vector<AddedToken> tokens_;
  std::array<Pass, 2> passes_;
  Regex space_, word_;
};

}  // namespace mformer
