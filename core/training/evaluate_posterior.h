#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "core/model/model.h"
#include "core/model/posterior.h"
#include "core/training/batch.h"

namespace mformer {

/// What the posterior over births makes of a batch of windows.
struct PosteriorLosses {
  at::Tensor losses;  ///< [batch, tokens] float64: −log mixture probability of the next token, 0 where none is known.
  at::Tensor weights;  ///< [batch, tokens, hypotheses] float64: with which each predicted it; 0 for those not run.
  std::int64_t documents = 0;  ///< Beginnings: of every window, and of every further document in it.
  std::int64_t observed = 0;   ///< Tokens known, those without a loss (prompts) included.
};

/// Runs the views of a model with domains (views_of()) over windows and mixes them by the posterior, which starts anew
/// at each window and with each document.
///
/// Not every view runs over everything: the first 4, 12 and 48 tokens of every document are run by all that are still in
/// question; views whose weight by Bayes' rule is then less than what switching would give them, α π, for each document
/// of a window, rest for this window. The base comes back where it does better in the middle of a document. Where the
/// losses of what runs jump, a sign that the text changed domain, the best of the resting views comes back if it is
/// worth a switch. The losses are exact for what was run and otherwise an upper bound.
class PosteriorEvaluator {
 public:
  /// `views`: of the base and of each domain. `exact`: all views run over everything.
  PosteriorEvaluator(std::vector<Model> views, const PosteriorOptions& options, bool bfloat16, bool exact = false);

  PosteriorLosses losses(const Batch& batch) const;

  /// For each row of the batch the hypothesis of the greatest weight, averaged over the row.
  std::vector<std::size_t> likeliest(const Batch& batch) const;

 private:
  std::vector<Model> views_;
  PosteriorOptions options_;
  bool bfloat16_, exact_;
};

}  // namespace mformer
