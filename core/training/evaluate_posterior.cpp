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
/// After so many tokens of a document the hypotheses without weight rest. A text of another domain is told apart within
/// a few tokens, and a probe of four hypotheses costs as much as 4 · its length: the first settles most documents.
constexpr std::array<std::int64_t, 3> kProbes = {4, 12, 48};
/// A probe is worth it in windows at least so many times its length.
constexpr std::int64_t kProbeShare = 4;
/// Tokens of a second look for the base, and how many times longer a document must be to get one.
constexpr std::int64_t kLook = 8, kLookShare = 16;
/// Tokens of a look for all hypotheses where the losses jump.
constexpr std::int64_t kJumpLook = 32;
/// Windows that one forward pass runs over. Batches may be larger, so that the short probes come in useful numbers.
constexpr std::size_t kRowsAtOnce = 8;
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
        known_(known_targets(batch)),
        least_weight_(std::max(options.negligible, options.switching * prior_of(views.size() - 1, options).back())) {}

  PosteriorLosses run(bool exact) {
    Rows all(rows_);
    for (std::int64_t row = 0; row < rows_; ++row) all[row].resize(views_.size(), true);
    Rows alive = all;
    if (!exact) {
      for (const std::int64_t length : kProbes) probe(length, alive);
      look_again_for_the_base(alive);
    }
    run_views(alive, {});
    if (!exact) {
      const Rows ran = alive;
      look_where_losses_jump(all, alive);
      run_views(alive, ran);
    }
    return mix();
  }

 private:
  /// Of each row which hypotheses …
  using Rows = std::vector<std::vector<bool>>;

  /// Where a document begins, or another place in it.
  struct Beginning {
    std::int64_t row, place;
  };

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

  /// Lets those hypotheses of a row rest that are negligible for each document in it, by the document's first `length`
  /// tokens, read without what came before them: a judgement that only decides what is run. Rows with one hypothesis
  /// left need none.
  void probe(std::int64_t length, Rows& alive) {
    if (tokens_ < kProbeShare * length) return;
    std::vector<Beginning> beginnings;
    for (std::int64_t row = 0; row < rows_; ++row) {
      if (count(alive[row]) == 1) continue;
      std::vector<std::int64_t> places = batch_.starts[row];
      if (places.empty() || places[0] != 0) places.insert(places.begin(), 0);
      for (const std::int64_t place : places) beginnings.push_back({row, place});
    }
    if (beginnings.empty()) return;
    const at::Tensor evidence = log_probs_of(beginnings, length, alive);
    Rows likely(rows_, std::vector<bool>(views_.size(), false));
    for (std::size_t i = 0; i < beginnings.size(); ++i) {
      const std::vector<double> weights = weights_after(evidence[static_cast<std::int64_t>(i)]);
      for (std::size_t h = 0; h < views_.size(); ++h) {
        if (weights[h] >= least_weight_) likely[beginnings[i].row][h] = true;
      }
    }
    for (const Beginning& one : beginnings) alive[one.row] = likely[one.row];
  }

  /// Wakes the base in rows where it rests, but does better than what runs in the middle of a document: old text that
  /// begins like another domain must not lose the hypothesis that its bound is about.
  void look_again_for_the_base(Rows& alive) const {
    Rows with_base = alive;
    std::vector<Beginning> places;
    for (std::int64_t row = 0; row < rows_; ++row) {
      if (alive[row][0]) continue;
      with_base[row][0] = true;
      std::int64_t begin = 0;
      auto ends = batch_.starts[row];
      ends.push_back(batch_.lengths[row]);
      for (const std::int64_t end : ends) {
        if (end - begin >= kLookShare * kLook) places.push_back({row, begin + (end - begin) / 2});
        begin = end;
      }
    }
    wake(places, kLook, with_base, 0, alive);
  }

  /// Wakes in rows whose losses jump the hypothesis that does best from there on, if it is worth a switch to it:
  /// more than ln(1/α) + ln(1/π) better.
  void look_where_losses_jump(const Rows& all, Rows& alive) const {
    std::vector<Beginning> places;
    for (std::int64_t row = 0; row < rows_; ++row) {
      if (count(alive[row]) == views_.size()) continue;
      const std::int64_t place = jump(row);
      if (place >= 0) places.push_back({row, place});
    }
    wake(places, kJumpLook, all, -std::log(least_weight_), alive);
  }

  /// Wakes the best of the resting hypotheses in `looked` at each place whose log-probability of the next `length`
  /// tokens, read without what came before, exceeds that of all that run by more than `margin`.
  void wake(const std::vector<Beginning>& places, std::int64_t length, const Rows& looked, double margin,
            Rows& alive) const {
    if (places.empty()) return;
    const at::Tensor sums = log_probs_of(places, length, looked).sum(1);
    const auto sum = sums.accessor<double, 2>();
    for (std::size_t i = 0; i < places.size(); ++i) {
      std::vector<bool>& running = alive[places[i].row];
      const auto of_place = sum[static_cast<std::int64_t>(i)];
      double best_running = kNotRun, best_resting = kNotRun;
      std::size_t which = 0;
      for (std::size_t h = 0; h < views_.size(); ++h) {
        const double value = of_place[static_cast<std::int64_t>(h)];
        if (running[h]) {
          best_running = std::max(best_running, value);
        } else if (value > best_resting) {
          best_resting = value, which = h;
        }
      }
      if (best_resting > best_running + margin) running[which] = true;
    }
  }

  /// [beginnings, length, hypotheses]: what the views that are alive in its row give to the first tokens of each; 0
  /// after the document's end or where a token is not known, −∞ for views that rest.
  at::Tensor log_probs_of(const std::vector<Beginning>& beginnings, std::int64_t length, const Rows& alive) const {
    const auto count = static_cast<std::int64_t>(beginnings.size());
    at::Tensor inputs = at::zeros({count, length}, at::kLong);
    at::Tensor targets = at::full({count, length}, PackedWindows::kIgnore, at::kLong);
    for (std::int64_t i = 0; i < count; ++i) {
      const auto [row, place] = beginnings[i];
      const auto& starts = batch_.starts[row];
      const auto next = std::upper_bound(starts.begin(), starts.end(), place);
      const std::int64_t end = next == starts.end() ? batch_.lengths[row] : *next;
      const std::int64_t used = std::min(length, end - place);
      inputs[i].narrow(0, 0, used).copy_(batch_.inputs[row].narrow(0, place, used));
      targets[i].narrow(0, 0, used).copy_(known_[row].narrow(0, place, used));
    }
    at::Tensor result = at::full({count, length, static_cast<std::int64_t>(views_.size())}, kNotRun, at::kDouble);
    for (std::size_t h = 0; h < views_.size(); ++h) {
      std::vector<std::int64_t> which;
      for (std::int64_t i = 0; i < count; ++i) {
        if (alive[beginnings[i].row][h]) which.push_back(i);
      }
      if (which.empty()) continue;
      const at::Tensor index = at::tensor(which, at::kLong);
      result.select(2, static_cast<std::int64_t>(h))
          .index_copy_(0, index, run_view(h, inputs.index_select(0, index), targets.index_select(0, index)));
    }
    return result;
  }

  /// The weights by Bayes' rule after [tokens, hypotheses] log-probabilities.
  std::vector<double> weights_after(const at::Tensor& log_probs) const {
    Posterior evidence(views_.size() - 1, without_switching(options_));
    const auto* row = log_probs.const_data_ptr<double>();
    for (std::int64_t t = 0; t < log_probs.size(0); ++t) {
      evidence.observe({row + t * log_probs.size(1), views_.size()});
    }
    return evidence.weights();
  }

  /// Fills log_probs_ for the rows and views in `wanted` and not in `done`.
  void run_views(const Rows& wanted, const Rows& done) {
    for (std::size_t h = 0; h < views_.size(); ++h) {
      std::vector<std::int64_t> which;
      for (std::int64_t row = 0; row < rows_; ++row) {
        if (wanted[row][h] && (done.empty() || !done[row][h])) which.push_back(row);
      }
      for (std::size_t first = 0; first < which.size(); first += kRowsAtOnce) {
        const std::size_t end = std::min(which.size(), first + kRowsAtOnce);
        const at::Tensor rows = at::tensor(std::vector<std::int64_t>(which.begin() + first, which.begin() + end));
        log_probs_.select(2, static_cast<std::int64_t>(h))
            .index_copy_(0, rows, run_view(h, batch_.inputs.index_select(0, rows), known_.index_select(0, rows)));
      }
    }
  }

  /// Log-probability of each target, [rows, tokens] float64, on the CPU; 0 where it is not known.
  at::Tensor run_view(std::size_t h, const at::Tensor& inputs, const at::Tensor& targets) const {
    ForwardOptions how;
    how.bfloat16 = bfloat16_;
    const at::Tensor hidden = forward(views_[h], inputs, how).hidden;
    return -token_losses(views_[h], hidden, targets, bfloat16_).cpu().to(at::kDouble).view(inputs.sizes());
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

  /// Where the losses of what ran began to be too high for chance, or −1.
  std::int64_t jump(std::int64_t row) const {
    Posterior posterior(views_.size() - 1, options_);
    double sum = 0, excess = 0;
    std::int64_t seen = 0, began = 0, place = -1;
    follow(row, batch_.lengths[row], posterior, [&](std::int64_t t, double loss, const Posterior&) {
      if (excess == 0) began = t;
      if (seen > 0) excess = std::max(0.0, excess + loss - sum / static_cast<double>(seen) - kSlack);
      if (place < 0 && excess > kAlarm) place = began;
      sum += loss, ++seen;
    });
    return place;
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
  double least_weight_;   // of a hypothesis that is run: what switching would give it back
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
