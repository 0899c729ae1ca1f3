#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/decoding/next_token.h"
#include "core/model/forward.h"

namespace mformer {

/// A text that is to be gone on with, beside others (Scheduler).
struct TextRequest {
  std::vector<std::int64_t> ids;  ///< The prompt, at least one token, each below the vocabulary's size.
  std::int64_t max_tokens = 16;   ///< Drawn at most; 0 = the prompt is only read.
  Sampling sampling;
  std::uint64_t seed = 0;                 ///< Of what is drawn: the same whatever runs beside it, but for rounding.
  std::vector<std::int64_t> ends;         ///< Tokens that end the text and are no part of it.
  std::optional<std::int64_t> turn_end;   ///< Another, which ends the assistant's turn.
  std::optional<std::size_t> hypothesis;  ///< Of a model with domains; nothing = the posterior over births decides.
  bool log_probs = false;                 ///< Of what is drawn,
  bool prompt_log_probs = false;          ///< and of the prompt. Then every hypothesis reads everything (strict).
  std::int64_t likeliest = 0;             ///< So many of the likeliest tokens beside each of these.
  bool routing = false;                   ///< Observers are told which modules were chosen.
};

/// A token and ln of its probability before temperature, top-k and top-p.
struct TokenLogProb {
  std::int64_t id = 0;
  double log_prob = 0;
};

struct ReadToken {
  std::int64_t id = 0;
  std::optional<double> log_prob;       ///< Absent where nobody asked, and of a text's first token.
  std::vector<TokenLogProb> likeliest;  ///< In the place of this token, by descending probability.
};

enum class TextEnd { length, end_of_text, end_of_turn, observer, failed, closing };

/// Whoever asked. All is called on the model's thread and should be quick. What they throw ends their
/// text alone; end() may not throw.
class TextObserver {
 public:
  virtual ~TextObserver() = default;
  /// Asked before every step; false ends the text, and its memory is free: the asker has gone.
  virtual bool wanted() const = 0;
  /// Tokens of the prompt that were read, in order; called only where their log-probabilities were asked for.
  virtual void prompt(const std::vector<ReadToken>& tokens) = 0;
  /// A token that was drawn, and the weights of the hypotheses with which it was (one number for a plain model). False
  /// ends the text.
  virtual bool token(const ReadToken& token, const std::vector<double>& weights) = 0;
  /// The token that ended the text and is no part of it; called only where log-probabilities were asked for.
  virtual void ended_by(const ReadToken& token) = 0;
  /// What routers chose for tokens that one hypothesis read, one a layer (only where asked for). Rows are tokens, in
  /// order.
  virtual void routing(std::size_t hypothesis, const std::vector<BlockTrace>& layers) = 0;
  /// Called once, last. `weights` of the hypotheses after all that was read, `problem` a sentence where `failed`.
  virtual void end(TextEnd reason, const std::vector<double>& weights, const std::string& problem) = 0;
};

}  // namespace mformer
