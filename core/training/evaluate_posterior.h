#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <vector>

#include "core/model/model.h"
#include "core/model/posterior.h"
#include "core/training/batch.h"
#include "core/training/mix_posterior.h"

namespace mformer {

/// Runs the views of a model with domains (views_of()) over windows and mixes them by the posterior, which starts anew
/// at each window and with each document.
///
/// Strict: every view runs over everything, at the cost of one pass each, and no loss exceeds its bound, whatever the
/// text (EarlierMixture). The base's figures are those of the base alone, number for number, where the batches are.
///
/// Fast: the first 4, 12 and 32 tokens of every document are run by all views that are still in question; views whose
/// weight by Bayes' rule is then less than the least rate of switching, 0.001 and 0.02, for each document of a window,
/// rest for this window. One of them comes back where it does better, by 3 nats, on the last 4 tokens of a document of
/// at least 64, read without what came before. What rests counts as probability lost: over all
/// tokens, prompts included, the losses of a window sum to at least the strict ones. They have no bound against the
/// base, which may rest where it would do better.
class PosteriorEvaluator {
 public:
  /// `views`: of the base and of each domain.
  PosteriorEvaluator(std::vector<Model> views, const PosteriorOptions& options, bool bfloat16,
                     PosteriorMode mode = PosteriorMode::strict);

  PosteriorLosses losses(const Batch& batch) const;

  /// For each row of the batch the hypothesis of the greatest weight, averaged over the row.
  std::vector<std::size_t> likeliest(const Batch& batch) const;

 private:
  std::vector<Model> views_;
  PosteriorOptions options_;
  bool bfloat16_;
  PosteriorMode mode_;
};

}  // namespace mformer
