#include "core/training/evaluate_posterior.h"

#include <ATen/core/grad_mode.h>

#include <utility>

#include "core/training/resting.h"
#include "core/training/view_runs.h"

namespace mformer {

PosteriorEvaluator::PosteriorEvaluator(std::vector<Model> views, const PosteriorOptions& options, bool bfloat16,
                                       PosteriorMode mode)
    : views_(std::move(views)), options_(options), bfloat16_(bfloat16), mode_(mode) {}

PosteriorLosses PosteriorEvaluator::losses(const Batch& batch) const {
  const at::NoGradGuard no_grad;
  ViewRuns runs(views_, bfloat16_, batch);
  runs.run(mode_ == PosteriorMode::strict ? runs.everything() : worth_running(runs, views_.size(), batch, options_));
  return mix_posterior(batch, runs.log_probs(), options_, mode_);
}

std::vector<std::size_t> PosteriorEvaluator::likeliest(const Batch& batch) const {
  const at::Tensor best = losses(batch).weights.sum(1).argmax(1);
  std::vector<std::size_t> result;
  for (std::int64_t row = 0; row < best.size(0); ++row) result.push_back(best[row].item<std::int64_t>());
  return result;
}

}  // namespace mformer
