#include "core/training/resting.h"

#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <array>
#include <limits>

#include "core/text/packing.h"

namespace mformer {
namespace {

constexpr double kNotAsked = -std::numeric_limits<double>::infinity();
/// After so many tokens of a document hypotheses rest whose weight by Bayes' rule is less than the share: none at
/// first, where few tokens say little, so that what switching would give back decides. A text of another domain is told
/// apart within a few tokens, and a probe of four hypotheses costs as much as 4 · its length: the first settles most
/// documents.
struct Probe {
  std::int64_t length;
  double share;
};
constexpr std::array<Probe, 3> kProbes = {{{4, 0.0}, {12, 1e-3}, {32, 2e-2}}};
/// A probe is worth it in windows at least so many times its length.
constexpr std::int64_t kProbeShare = 4;
/// Documents of at least so many tokens get a second look at their last ones. A text that changes its domain once,
/// after an opening of another one, ends in it.
constexpr std::int64_t kLookedAgain = 64, kLook = 4;
/// Nats by which what rests must do better in a second look: a few tokens without what came before say little.
constexpr double kMargin = 3.0;

/// Tokens of one document in a window.
struct DocumentPiece {
  std::int64_t row, begin, length;
};

class RestingChoice {
 public:
  RestingChoice(const ViewRuns& runs, std::size_t views, const Batch& batch, const PosteriorOptions& options)
      : runs_(runs), views_(views), batch_(batch), options_(options), alive_(runs.everything()) {
    const std::vector<double> rates = switching_of(views - 1, options);
    least_weight_ = *std::min_element(rates.begin(), rates.end());
  }

  RowViews make() {
    const double one_has_more = 0.5 / static_cast<double>(views_);  // whatever the text
    for (const auto& [length, share] : kProbes) {
      probe(length, std::min(one_has_more, std::max(share, least_weight_)));
    }
    look_again();
    return alive_;
  }

 private:
  /// The documents of a row, as far as they lie in the window.
  std::vector<DocumentPiece> documents(std::int64_t row) const {
    std::vector<std::int64_t> begins = batch_.starts[row];
    if (begins.empty() || begins[0] != 0) begins.insert(begins.begin(), 0);
    begins.push_back(batch_.lengths[row]);
    std::vector<DocumentPiece> pieces;
    for (std::size_t i = 0; i + 1 < begins.size(); ++i) pieces.push_back({row, begins[i], begins[i + 1] - begins[i]});
    return pieces;
  }

  std::int64_t running(std::int64_t row) const { return std::count(alive_[row].begin(), alive_[row].end(), true); }

  /// Lets those hypotheses of a row rest that have less than the `share` for each document in it, by the document's
  /// first `length` tokens. Rows with one hypothesis left need none.
  void probe(std::int64_t length, double share) {
    if (batch_.inputs.size(1) < kProbeShare * length) return;
    std::vector<DocumentPiece> pieces;
    for (std::int64_t row = 0; row < batch_.inputs.size(0); ++row) {
      if (running(row) == 1) continue;
      for (DocumentPiece piece : documents(row)) {
        piece.length = std::min(piece.length, length);
        pieces.push_back(piece);
      }
    }
    if (pieces.empty()) return;
    const at::Tensor evidence = log_probs_of(pieces, length, alive_);
    RowViews likely(alive_.size(), std::vector<bool>(views_, false));
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      const std::vector<double> weights = weights_after(evidence[static_cast<std::int64_t>(i)]);
      for (std::size_t h = 0; h < views_; ++h) {
        if (weights[h] >= share) likely[pieces[i].row][h] = true;
      }
    }
    for (const DocumentPiece& one : pieces) alive_[one.row] = likely[one.row];
  }

  /// Wakes in rows where hypotheses rest the best of them, if it does better than all that run at a document's end.
  void look_again() {
    std::vector<DocumentPiece> ends;
    for (std::int64_t row = 0; row < batch_.inputs.size(0); ++row) {
      if (running(row) == static_cast<std::int64_t>(views_)) continue;
      for (const DocumentPiece& piece : documents(row)) {
        if (piece.length < kLookedAgain) continue;
        ends.push_back({row, piece.begin + piece.length - kLook, kLook});
      }
    }
    if (ends.empty()) return;
    const at::Tensor sums = log_probs_of(ends, kLook, runs_.everything()).sum(1);
    for (std::size_t i = 0; i < ends.size(); ++i) {
      wake(sums[static_cast<std::int64_t>(i)].const_data_ptr<double>(), alive_[ends[i].row]);
    }
  }

  /// `sums` [hypotheses]: log-probabilities of the same tokens.
  void wake(const double* sums, std::vector<bool>& running) const {
    double best_running = kNotAsked, best_resting = kNotAsked;
    std::size_t which = 0;
    for (std::size_t h = 0; h < views_; ++h) {
      if (running[h]) {
        best_running = std::max(best_running, sums[h]);
      } else if (sums[h] > best_resting) {
        best_resting = sums[h], which = h;
      }
    }
    if (best_resting > best_running + kMargin) running[which] = true;
  }

  /// [pieces, length, hypotheses]: what the views that are `asked` in its row give to the tokens of each, read without
  /// what came before them: a judgement that only decides what is run. 0 after the piece's end or where a token is not
  /// known, −∞ for views that are not asked.
  at::Tensor log_probs_of(const std::vector<DocumentPiece>& pieces, std::int64_t length, const RowViews& asked) const {
    const auto count = static_cast<std::int64_t>(pieces.size());
    at::Tensor inputs = at::zeros({count, length}, at::kLong);
    at::Tensor targets = at::full({count, length}, PackedWindows::kIgnore, at::kLong);
    for (std::int64_t i = 0; i < count; ++i) {
      const auto [row, begin, used] = pieces[i];
      inputs[i].narrow(0, 0, used).copy_(batch_.inputs[row].narrow(0, begin, used));
      targets[i].narrow(0, 0, used).copy_(runs_.known()[row].narrow(0, begin, used));
    }
    at::Tensor result = at::full({count, length, static_cast<std::int64_t>(views_)}, kNotAsked, at::kDouble);
    for (std::size_t h = 0; h < views_; ++h) {
      std::vector<std::int64_t> which;
      for (std::int64_t i = 0; i < count; ++i) {
        if (asked[pieces[i].row][h]) which.push_back(i);
      }
      if (which.empty()) continue;
      const at::Tensor index = at::tensor(which, at::kLong);
      result.select(2, static_cast<std::int64_t>(h))
          .index_copy_(0, index, runs_.run_view(h, inputs.index_select(0, index), targets.index_select(0, index)));
    }
    return result;
  }

  /// The weights by Bayes' rule after [tokens, hypotheses] log-probabilities.
  std::vector<double> weights_after(const at::Tensor& log_probs) const {
    Posterior evidence(views_ - 1, without_switching(options_));
    const auto* row = log_probs.const_data_ptr<double>();
    for (std::int64_t t = 0; t < log_probs.size(0); ++t) evidence.observe({row + t * log_probs.size(1), views_});
    return evidence.weights();
  }

  const ViewRuns& runs_;
  std::size_t views_;
  const Batch& batch_;
  const PosteriorOptions& options_;
  RowViews alive_;
  double least_weight_;  // of a hypothesis that is run: what switching would give it back
};

}  // namespace

RowViews worth_running(const ViewRuns& runs, std::size_t views, const Batch& batch, const PosteriorOptions& options) {
  return RestingChoice(runs, views, batch, options).make();
}

}  // namespace mformer
