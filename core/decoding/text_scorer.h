#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "core/model/forward.h"
#include "core/model/model.h"
#include "core/model/posterior.h"

namespace mformer {

/// How probable texts are that begin alike, such as one question with each of its answers, or many questions after the
/// same examples: what a text shares with the one before it is not read again. With one model or with all hypotheses of
/// one that has domains, mixed by the posterior over births; every hypothesis reads everything, as
/// PosteriorMode::strict.
class TextScorer {
 public:
  /// Takes the model over, and prepares it for inference as MixtureDecoder does.
  TextScorer(Model model, at::ScalarType dtype, const PosteriorOptions& options = {}, at::Device device = at::kCPU);
  ~TextScorer();

  /// ln p of each of the tokens ids[first], ids[first + 1], …, given all before it. 1 ≤ first ≤ ids.size(). Throws
  /// Error, as go_on() does, where the model's numbers are not finite.
  std::vector<double> score(const std::vector<std::int64_t>& ids, std::size_t first);

  /// [hypotheses] the weights with which they predicted token number `token` of what score() was last called with,
  /// 1 ≤ token; the sum is 1.
  const std::vector<double>& weights(std::size_t token) const { return steps_.at(token - 1).posterior.weights(); }

  /// The likeliest tokens after `ids` (at least one), each given those before it, among the first `vocabulary` ids;
  /// until `more` says no to one, which is not part of the result, or until there are `most`.
  std::vector<std::int64_t> go_on(const std::vector<std::int64_t>& ids, std::size_t most, std::int64_t vocabulary,
                                  const std::function<bool(std::int64_t id)>& more);

  /// Tokens that were run through the model so far, by each hypothesis.
  std::int64_t tokens_read() const { return tokens_read_; }

 private:
  struct View;
  /// What is known when a token has been read.
  struct Step {
    std::int64_t id;
    double log_prob;      ///< Of this token; NaN where it was not asked for.
    Posterior posterior;  ///< Once it was seen.
  };

  std::size_t shared_with(std::span<const std::int64_t> ids, std::size_t first) const;
  void read_to(std::span<const std::int64_t> ids, std::size_t first);
  void go_back(std::size_t length);
  void read(std::span<const std::int64_t> ids, std::size_t first);
  void observe(std::int64_t id);
  std::vector<double> seen(std::int64_t id) const;
  const Posterior& now() const { return steps_.empty() ? start_ : steps_.back().posterior; }

  std::vector<std::unique_ptr<View>> views_;
  Posterior start_;
  std::vector<Step> steps_;    ///< One for each token in the caches.
  std::optional<Step> again_;  ///< The token after those, where it was known and may come once more.
  at::Tensor next_;            ///< [hypotheses, vocab] log-probabilities of what follows; undefined where not known.
  std::int64_t tokens_read_ = 0;
};

}  // namespace mformer
