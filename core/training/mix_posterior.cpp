#include "core/training/mix_posterior.h"

#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <span>

#include "core/text/packing.h"

namespace mformer {
namespace {

/// One row of a batch under the posterior.
class PosteriorRow {
 public:
  PosteriorRow(const Batch& batch, const at::Tensor& known, const at::Tensor& log_probs, std::int64_t row)
      : starts_(batch.starts[row]),
        length_(batch.lengths[row]),
        hypotheses_(log_probs.size(2)),
        known_(known.const_data_ptr<std::int64_t>() + row * known.size(1)),
        targets_(batch.targets[row].contiguous()),
        log_probs_(log_probs.const_data_ptr<double>() + row * known.size(1) * hypotheses_) {}

  std::int64_t documents() const {
    return 1 + static_cast<std::int64_t>(starts_.size()) - (!starts_.empty() && starts_[0] == 0 ? 1 : 0);
  }

  /// Calls restart() where a document begins, and token(place, log_probs, counts) for each known token.
  template <typename Restart, typename Token>
  void follow(const Restart& restart, const Token& token) const {
    const auto* target = targets_.const_data_ptr<std::int64_t>();
    auto start = starts_.begin();
    for (std::int64_t t = 0; t < length_; ++t) {
      if (start != starts_.end() && *start == t) restart(), ++start;
      if (known_[t] == PackedWindows::kIgnore) continue;
      token(t, std::span(log_probs_ + t * hypotheses_, static_cast<std::size_t>(hypotheses_)),
            target[t] != PackedWindows::kIgnore);
    }
  }

 private:
  const std::vector<std::int64_t>& starts_;
  std::int64_t length_, hypotheses_;
  const std::int64_t* known_;
  at::Tensor targets_;
  const double* log_probs_;
};

}  // namespace

at::Tensor known_targets(const Batch& batch) {
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

PosteriorLosses mix_posterior(const Batch& batch, const at::Tensor& log_probs, const PosteriorOptions& options,
                              PosteriorMode mode) {
  const at::Tensor known = known_targets(batch);
  const std::int64_t rows = known.size(0), tokens = known.size(1), hypotheses = log_probs.size(2);
  const auto domains = static_cast<std::size_t>(hypotheses - 1);
  PosteriorLosses result{at::zeros({rows, tokens}, at::kDouble), at::zeros({rows, tokens, hypotheses}, at::kDouble)};
  auto losses = result.losses.accessor<double, 2>();
  auto weights = result.weights.accessor<double, 3>();
  Posterior posterior(domains, options);
  std::vector<EarlierMixture> earlier;
  for (std::size_t k = 0; mode == PosteriorMode::strict && k < domains; ++k) earlier.emplace_back(k, domains, options);
  const auto restart = [&] {
    posterior.restart();
    for (EarlierMixture& mixture : earlier) mixture.restart();
  };
  for (std::int64_t row = 0; row < rows; ++row) {
    const PosteriorRow text(batch, known, log_probs, row);
    result.documents += text.documents();
    restart();
    text.follow(restart, [&](std::int64_t t, std::span<const double> seen, bool counts) {
      for (EarlierMixture& mixture : earlier) mixture.observe(seen, posterior.weights(), counts);
      for (std::size_t h = 0; h < seen.size(); ++h) {
        if (std::isfinite(seen[h])) weights[row][t][static_cast<std::int64_t>(h)] = posterior.weights()[h];
      }
      losses[row][t] = posterior.observe(seen);
      ++result.observed;
    });
  }
  for (const EarlierMixture& mixture : earlier) result.earlier.push_back({mixture.loss(), mixture.bound()});
  return result;
}

}  // namespace mformer
