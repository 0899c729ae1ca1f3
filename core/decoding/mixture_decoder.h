#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/model/forward.h"
#include "core/model/model.h"
#include "core/model/posterior.h"

namespace mformer {

/// Decoding with one model or with all that the posterior over births does not rule out. On the CPU views are prepared
/// for inference (core/model/inference.h); on another device they run as models of that dtype do, modules that are int8
/// as numbers of it, with bfloat16 the matrices alone (core/model/placement.h), so that the two compute the same but
/// for rounding. Views are given up when their weight becomes negligible (PosteriorOptions): after the first tokens of
/// a text there is one, and a step costs what it costs a plain model.
///
/// This is a fast mode: a text that turns to a hypothesis that was given up loses what it would have given, without a
/// bound. What is drawn from the predictions does have one. With q the probabilities that read() returns, and p those
/// of the mixture of all hypotheses after the same beginning, every continuation x that is read token by token has
///     p(x) ≥ q(x) · Π kept(),
/// the product over its tokens of kept() when each was predicted: p averages over all paths of hypotheses, those
/// through what runs among them.
class MixtureDecoder {
 public:
  /// Takes the model over. `positions`: room for so many tokens from the start.
  MixtureDecoder(Model model, at::ScalarType dtype, std::int64_t positions, const PosteriorOptions& options = {},
                 at::Device device = at::kCPU);
  ~MixtureDecoder();

  /// Reads further tokens, at least one; returns the logits of the next one, [vocab], on the CPU: those of the one
  /// model that is left, or else log-probabilities of the mixture.
  at::Tensor read(const std::vector<std::int64_t>& ids);

  /// [hypotheses] weights; 0 for those that were given up.
  std::vector<double> weights() const;

  /// Hypotheses that were not given up.
  std::ptrdiff_t running() const;

  /// The sum of weights(): what the hypotheses that run have of the weight of all.
  double kept() const;

  /// Whether hypotheses were given up before the end of what one call of read() got, and so without the rest of it:
  /// then the statement above holds from where they were given up, and not from where that call ended.
  bool gave_up_while_reading() const { return gave_up_while_reading_; }

 private:
  struct Hypothesis;
  void give_up();

  std::vector<std::unique_ptr<Hypothesis>> hypotheses_;  ///< Null where given up.
  Posterior posterior_;
  Posterior evidence_;  ///< Without switching: by what hypotheses are given up.
  PosteriorOptions options_;
  bool gave_up_while_reading_ = false;
  std::vector<at::Tensor>
      next_;  ///< Of each hypothesis the log-probabilities of the next token, once something was read.
};

}  // namespace mformer
