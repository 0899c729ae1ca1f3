#include "core/training/evaluate_posterior.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "core/model/losses.h"
#include "core/text/packing.h"

namespace mformer {
namespace {

constexpr double kNotRun = -std::numeric_limits<double>::infinity();
/// After so many tokens of a window the hypotheses without weight rest; a text of another domain is told apart within
/// a few tokens, and each probe of four hypotheses costs as much as 4 · its length.
constexpr std::array<std::int64_t, 2> kProbes = {16, 64};
/// A probe is worth it in windows at least so many times its length.
constexpr std::int64_t kProbeShare = 4;
/// The losses jump when their excess over the mean so far plus the slack sums to the alarm (Page's test, 1954). Token
/// losses spread by some 3 nats, so that an alarm without a cause is rare and a change of domain, which costs more
/// than the slack a token, rings within some tens of tokens.
constexpr double kSlack = 1.0, kAlarm = 40.0;

/// One batch on its way: what each view gave to each token.
class Batchwork {
 public:
  Batchwork(const std::vector<Model>& views, const PosteriorOptions& options, bool bfloat16, const Batch& batch)
      : views_(views),
        options_(options),
        bfloat16_(bfloat16),
        batch_(batch),
        rows_(batch.inputs.size(0)),
        tokens_(batch.inputs.size(1)),
        log_probs_(at::full({rows_, tokens_, static_cast<std::int64_t>(views.size())}, kNotRun, at::kDouble)),
        known_(known_targets(batch)) {}

  PosteriorLosses run(bool exact) {
    Rows all(rows_);
    for (std::int64_t row = 0; row < rows_; ++row) all[row].resize(views_.size(), true);
    Rows alive = all;
    if (!exact) {
      for (const std::int64_t length : kProbes) probe(length, alive);
    }
    run_views(alive, {}, tokens_);
    const Rows ran = alive;
    for (std::int64_t row = 0; row < rows_; ++row) {
      if (count(alive[row]) < views_.size() && jumps(row)) alive[row] = all[row];
    }
    run_views(alive, ran, tokens_);
    return mix();
  }

 private:
  /// Of each row which hypotheses …
  using Rows = std::vector<std::vector<bool>>;

  static std::size_t count(const std::vector<bool>& which) {
    return static_cast<std::size_t>(std::count(which.begin(), which.end(), true));
  }

  /// The token that follows each input, also where it counts for no loss; −100 where it is not known.
  static at::Tensor known_targets(const Batch& batch) {
    at::Tensor targets = batch.targets.clone();
    const std::int64_t tokens = batch.inputs.size(1);
    auto target = targets.accessor<std::int64_t, 2>();
    const auto input = batch.inputs.accessor<std::int64_t, 2>();
    for (std::size_t row = 0; row < batch.lengths.size(); ++row) {
      const auto r = static_cast<std::int64_t>(row);
      for (std::int64_t t = 0; t + 1 < std::min(tokens, batch.lengths[row]); ++t) target[r][t] = input[r][t + 1];
    }
    return targets;
  }

  /// Runs what is alive over the first `length` tokens and lets what is negligible after them rest. Rows with one
  /// hypothesis left, and rows in which another document begins, need no probe.
  void probe(std::int64_t length, Rows& alive) {
    if (tokens_ < kProbeShare * length) return;
    Rows probed = alive;
    for (std::int64_t row = 0; row < rows_; ++row) {
      if (count(alive[row]) == 1 || !batch_.starts[row].empty()) probed[row].assign(views_.size(), false);
    }
    run_views(probed, {}, length);
    for (std::int64_t row = 0; row < rows_; ++row) {
      if (count(probed[row]) == 0) continue;
      Posterior posterior(views_.size() - 1, options_);
      follow(row, std::min(length, batch_.lengths[row]), posterior, [](std::int64_t, double, const Posterior&) {});
      for (std::size_t h = 0; h < views_.size(); ++h) {
        if (posterior.weights()[h] < options_.negligible) alive[row][h] = false;
      }
    }
  }

  /// Fills log_probs_ for the rows and views in `wanted` and not in `done`.
  void run_views(const Rows& wanted, const Rows& done, std::int64_t length) {
    for (std::size_t h = 0; h < views_.size(); ++h) {
      std::vector<std::int64_t> rows;
      for (std::int64_t row = 0; row < rows_; ++row) {
        if (wanted[row][h] && (done.empty() || !done[row][h])) rows.push_back(row);
      }
      if (!rows.empty()) run_view(h, at::tensor(rows, at::kLong), length);
    }
  }

  void run_view(std::size_t h, const at::Tensor& rows, std::int64_t length) {
    const auto part = [&](const at::Tensor& x) { return x.index_select(0, rows).narrow(1, 0, length).contiguous(); };
    ForwardOptions how;
    how.bfloat16 = bfloat16_;
    const at::Tensor hidden = forward(views_[h], part(batch_.inputs), how).hidden;
    const at::Tensor losses = token_losses(views_[h], hidden, part(known_), bfloat16_);
    log_probs_.select(2, static_cast<std::int64_t>(h))
        .narrow(1, 0, length)
        .index_copy_(0, rows, -losses.to(at::kDouble).view({rows.size(0), length}));
  }

  /// Moves a posterior along the first `length` tokens of a row; `visit` gets place, loss and the weights before it.
  template <typename Visit>
  void follow(std::int64_t row, std::int64_t length, Posterior& posterior, const Visit& visit) const {
    const auto known = known_.accessor<std::int64_t, 2>();
    const auto* log_probs = log_probs_.const_data_ptr<double>() + row * tokens_ * log_probs_.size(2);
    auto start = batch_.starts[row].begin();
    for (std::int64_t t = 0; t < length; ++t) {
      if (start != batch_.starts[row].end() && *start == t) posterior.restart(), ++start;
      if (known[row][t] == PackedWindows::kIgnore) continue;
      const Posterior before = posterior;
      const double loss = posterior.observe({log_probs + t * log_probs_.size(2), views_.size()});
      visit(t, loss, before);
    }
  }

  bool jumps(std::int64_t row) const {
    Posterior posterior(views_.size() - 1, options_);
    double sum = 0, excess = 0;
    std::int64_t seen = 0;
    bool alarm = false;
    follow(row, batch_.lengths[row], posterior, [&](std::int64_t, double loss, const Posterior&) {
      if (seen > 0) excess = std::max(0.0, excess + loss - sum / static_cast<double>(seen) - kSlack);
      alarm = alarm || excess > kAlarm;
      sum += loss, ++seen;
    });
    return alarm;
  }

  PosteriorLosses mix() const {
    const auto hypotheses = static_cast<std::int64_t>(views_.size());
    PosteriorLosses result{at::zeros({rows_, tokens_}, at::kDouble),
                           at::zeros({rows_, tokens_, hypotheses}, at::kDouble)};
    auto losses = result.losses.accessor<double, 2>();
    auto weights = result.weights.accessor<double, 3>();
    const auto log_probs = log_probs_.accessor<double, 3>();
    for (std::int64_t row = 0; row < rows_; ++row) {
      Posterior posterior(views_.size() - 1, options_);
      const auto& starts = batch_.starts[row];
      result.documents += 1 + static_cast<std::int64_t>(starts.size()) - (!starts.empty() && starts[0] == 0 ? 1 : 0);
      follow(row, batch_.lengths[row], posterior, [&](std::int64_t t, double loss, const Posterior& before) {
        losses[row][t] = loss;
        for (std::int64_t h = 0; h < hypotheses; ++h) {
          if (log_probs[row][t][h] != kNotRun) weights[row][t][h] = before.weights()[h];
        }
        ++result.observed;
      });
    }
    return result;
  }

  const std::vector<Model>& views_;
  const PosteriorOptions& options_;
  bool bfloat16_;
  const Batch& batch_;
  std::int64_t rows_, tokens_;
  at::Tensor log_probs_;  // [rows, tokens, hypotheses] float64, kNotRun where none is known
  at::Tensor known_;      // [rows, tokens] int64
};

}  // namespace

PosteriorEvaluator::PosteriorEvaluator(std::vector<Model> views, const PosteriorOptions& options, bool bfloat16,
                                       bool exact)
    : views_(std::move(views)), options_(options), bfloat16_(bfloat16), exact_(exact) {}

PosteriorLosses PosteriorEvaluator::losses(const Batch& batch) const {
  const at::NoGradGuard no_grad;
  return Batchwork(views_, options_, bfloat16_, batch).run(exact_);
}

std::vector<std::size_t> PosteriorEvaluator::likeliest(const Batch& batch) const {
  const at::Tensor best = losses(batch).weights.sum(1).argmax(1);
  std::vector<std::size_t> result;
  for (std::int64_t row = 0; row < best.size(0); ++row) result.push_back(best[row].item<std::int64_t>());
  return result;
}

}  // namespace mformer
