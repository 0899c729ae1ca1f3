#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "core/model/posterior.h"
#include "core/training/batch.h"

namespace mformer {

/// Of one earlier mixture over a batch or a data set: EarlierMixture.
struct EarlierLoss {
  double loss = 0, bound = 0;  ///< Nats, summed over the targets that count.
};

/// What the posterior over births makes of a batch of windows.
struct PosteriorLosses {
  at::Tensor losses;  ///< [batch, tokens] float64: −log mixture probability of the next token, 0 where none is known.
  at::Tensor weights;  ///< [batch, tokens, hypotheses] float64: with which each predicted it; 0 for those not run.
  std::int64_t documents = 0;             ///< Beginnings: of every window, and of every further document in it.
  std::int64_t observed = 0;              ///< Tokens known, those without a loss (prompts) included.
  std::vector<EarlierLoss> earlier = {};  ///< Strict: [domains] of the base alone, of it and the first domain, …
};

/// The token that follows each input, [batch, tokens] int64, also where it counts for no loss; −100 where it is not
/// known.
at::Tensor known_targets(const Batch& batch);

/// Mixes the log-probabilities that hypotheses gave to the known targets, `log_probs` [batch, tokens, hypotheses]
/// float64, −∞ for what was not run, by the posterior, which starts anew at each window and with each document.
PosteriorLosses mix_posterior(const Batch& batch, const at::Tensor& log_probs, const PosteriorOptions& options,
                              PosteriorMode mode);

}  // namespace mformer
