#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace mformer {

/// A token that is found in the text as it stands, before the text is cut into words.
struct AddedToken {
  int32_t id = 0;
  std::string content;
  bool special = false;      ///< left out by decode(skip_special)
  bool single_word = false;  ///< only where no letter, digit or mark touches it
  bool lstrip = false;       ///< takes the white space before it along
  bool rstrip = false;       ///< takes the white space after it along
  bool normalized = true;    ///< looked for after the others, in what they left once it is normalised
  std::string looked_for{};  ///< what stands in the text for it: the content, normalised if the token is
};

/// Finds added tokens in text exactly as the `tokenizers` package does. Immutable; any number of threads.
class AddedTokens {
 public:
  /// Called in order with a stretch of text and id -1, or with the stretch that a token takes and its id.
  using Sink = std::function<void(std::string_view text, int32_t id)>;

  /// Tokens that are written as they are are found first; the others in the normalised text between them.
  enum class Pass { as_written, normalized };

  explicit AddedTokens(std::vector<AddedToken> tokens);
  AddedTokens(const AddedTokens&) = delete;
  AddedTokens& operator=(const AddedTokens&) = delete;

  const std::vector<AddedToken>& all() const { return tokens_; }

  /// Cuts `text` (any bytes) at the tokens of a pass; with `special_as_text` the special ones are not looked for.
  void split(Pass pass, std::string_view text, bool special_as_text, const Sink& sink) const;

 private:
  /// Tokens of one pass, by their first byte and longest first.
  using Candidates = std::array<std::vector<const AddedToken*>, 256>;

  std::vector<AddedToken> tokens_;
  std::array<Candidates, 2> passes_;
};

}  // namespace mformer
