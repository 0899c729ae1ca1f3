#include "core/training/view_runs.h"

#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>

#include <limits>

#include "core/model/forward.h"
#include "core/model/losses.h"
#include "core/training/mix_posterior.h"

namespace mformer {
namespace {

constexpr double kNotRun = -std::numeric_limits<double>::infinity();
/// Windows that one forward pass runs over. Batches may be larger, so that short probes come in useful numbers.
constexpr std::size_t kRowsAtOnce = 8;

}  // namespace

ViewRuns::ViewRuns(const std::vector<Model>& views, bool bfloat16, const Batch& batch)
    : views_(views),
      bfloat16_(bfloat16),
      batch_(batch),
      log_probs_(at::full({batch.inputs.size(0), batch.inputs.size(1), static_cast<std::int64_t>(views.size())},
                          kNotRun, at::kDouble)),
      known_(known_targets(batch)),
      done_(batch.inputs.size(0), std::vector<bool>(views.size(), false)) {}

RowViews ViewRuns::everything() const {
  return RowViews(done_.size(), std::vector<bool>(views_.size(), true));
}

void ViewRuns::run(const RowViews& wanted) {
  for (std::size_t h = 0; h < views_.size(); ++h) {
    std::vector<std::int64_t> which;
    for (std::size_t row = 0; row < done_.size(); ++row) {
      if (wanted[row][h] && !done_[row][h]) which.push_back(static_cast<std::int64_t>(row));
    }
    for (std::size_t first = 0; first < which.size(); first += kRowsAtOnce) {
      const std::size_t end = std::min(which.size(), first + kRowsAtOnce);
      const at::Tensor rows = at::tensor(std::vector<std::int64_t>(which.begin() + first, which.begin() + end));
      log_probs_.select(2, static_cast<std::int64_t>(h))
          .index_copy_(0, rows, run_view(h, batch_.inputs.index_select(0, rows), known_.index_select(0, rows)));
    }
    for (const std::int64_t row : which) done_[row][h] = true;
  }
}

at::Tensor ViewRuns::run_view(std::size_t view, const at::Tensor& inputs, const at::Tensor& targets) const {
  ForwardOptions how;
  how.bfloat16 = bfloat16_;
  const at::Tensor hidden = forward(views_[view], inputs, how).hidden;
  return -token_losses(views_[view], hidden, targets, bfloat16_).cpu().to(at::kDouble).view(inputs.sizes());
}

}  // namespace mformer
