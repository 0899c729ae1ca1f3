#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/model/forward.h"
#include "core/model/posterior.h"
#include "core/serving/text_request.h"

namespace mformer {

/// Tokens of a prompt that are read at once. Pieces end at multiples of this in each text, so that nothing else that
/// runs moves them.
inline constexpr std::int64_t kPromptPiece = 128;

/// Positions of the caches of a text: all that it may come to have, in steps, so that memory which one text leaves fits
/// the next.
std::int64_t positions_of(const TextRequest& request);

/// One text that is being read and written, with a cache of its own for every hypothesis: what MixtureDecoder is for
/// one text alone. The scheduler runs the model and hands out what it says.
class RunningText {
 public:
  /// `hypotheses`: the model's, of which the request may name one. `vocabulary`: ids that the tokenizer has.
  RunningText(TextRequest request, std::shared_ptr<TextObserver> observer, std::size_t hypotheses,
              std::int64_t vocabulary);

  TextObserver& observer() const { return *observer_; }
  const TextRequest& request() const { return request_; }
  bool reads_prompt() const { return read_ < prompt_; }
  /// Tokens that are read next.
  std::span<const std::int64_t> part() const;
  /// The cache of a hypothesis of the model; null where it does not run.
  KeyValueCache* cache(std::size_t hypothesis) const;
  /// Of the part, how many tokens from its end on need logits of what follows them.
  std::int64_t asked_rows() const;
  /// logits [asked_rows(), vocab] by a hypothesis that runs.
  void take(std::size_t hypothesis, const at::Tensor& logits);
  /// Once all that run have said theirs: the part counts as read, and the next token is drawn where it is known. For
  /// any thread, but calls no observer. Throws Error where the logits are not finite.
  void draw();
  bool has_drawn() const { return drawn_.has_value(); }
  /// Tells the observer what draw() brought; the reason where that ended the text.
  std::optional<TextEnd> tell();
  /// As the request numbers them; 0 for those that were given up or left out.
  std::vector<double> weights() const;

 private:
  struct Member {
    std::size_t hypothesis;
    std::unique_ptr<KeyValueCache> cache;  ///< Null where given up.
    at::Tensor said;                       ///< Of the part.
    at::Tensor next;                       ///< Log-probabilities [vocab] of the next token, where they are followed.
  };
  bool followed() const;
  std::int64_t running() const;
  void follow(const std::vector<at::Tensor>& log_probs, std::size_t at, bool has_before);
  at::Tensor mixed(std::vector<at::Tensor> rows) const;
  ReadToken said_of(std::int64_t id, const at::Tensor& log_probs) const;
  at::Tensor follow_part();
  void give_up();

  TextRequest request_;
  std::shared_ptr<TextObserver> observer_;
  std::size_t hypotheses_;
  std::int64_t vocabulary_;
  std::vector<std::int64_t> ids_;  ///< The prompt and what was drawn.
  std::int64_t prompt_, read_ = 0;
  std::vector<Member> members_;
  PosteriorOptions options_;
  Posterior posterior_, evidence_;
  at::Generator generator_;
  std::vector<ReadToken> heard_;    ///< Of the prompt, since tell().
  std::optional<ReadToken> drawn_;  ///< Since tell().
  std::vector<double> drawn_with_;
};

}  // namespace mformer
