#include "core/decoding/mixture_decoder.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/decoding/decoding_view.h"
#include "core/decoding/mixed_log_probs.h"

namespace mformer {
namespace {

/// Tokens of a prompt that several hypotheses read at once: the logits of all of them are in memory together, and after
/// these few there is mostly one hypothesis left.
constexpr std::size_t kMostAtOnce = 256;

}  // namespace

struct MixtureDecoder::Hypothesis {
  DecodingView view;
  KeyValueCache cache;

  /// On the CPU: log-probabilities [tokens, vocab], float64, of what follows each of these tokens; or, `last_only`, [1,
  /// vocab] logits as they are.
  at::Tensor read(const at::Tensor& ids, bool last_only) {
    const at::Tensor hidden = read_on(view, ids, cache);
    const at::Tensor logits = logits_of(view, last_only ? hidden.narrow(1, hidden.size(1) - 1, 1) : hidden);
    return last_only ? logits[0].cpu() : at::log_softmax(logits[0].cpu().to(at::kDouble), -1);
  }
};

MixtureDecoder::MixtureDecoder(Model model, at::ScalarType dtype, std::int64_t positions,
                               const PosteriorOptions& options, at::Device device)
    : posterior_(model.domains.size(), options),
      evidence_(model.domains.size(), without_switching(options)),
      options_(options) {
  for (DecodingView& view : decoding_views(std::move(model), dtype, device)) {
    hypotheses_.push_back(std::make_unique<Hypothesis>(Hypothesis{std::move(view), KeyValueCache(positions)}));
  }
}

MixtureDecoder::~MixtureDecoder() = default;

at::Tensor MixtureDecoder::read(const std::vector<std::int64_t>& ids) {
  const at::NoGradGuard no_grad;
  const std::ptrdiff_t left = running();
  if (left > 1 && ids.size() > kMostAtOnce) {
    read({ids.begin(), ids.begin() + kMostAtOnce});
    gave_up_while_reading_ = gave_up_while_reading_ || running() < left;
    return read({ids.begin() + kMostAtOnce, ids.end()});
  }
  const at::Tensor input = at::tensor(ids).unsqueeze(0);
  std::vector<at::Tensor> log_probs(hypotheses_.size());
  for (std::size_t h = 0; h < hypotheses_.size(); ++h) {
    if (hypotheses_[h] == nullptr) continue;
    log_probs[h] = hypotheses_[h]->read(input, left == 1);
    if (left == 1) return log_probs[h].flatten();
  }
  for (std::size_t t = 0; t < ids.size(); ++t) {
    std::vector<double> seen(hypotheses_.size(), -std::numeric_limits<double>::infinity());
    for (std::size_t h = 0; h < hypotheses_.size(); ++h) {
      if (!log_probs[h].defined()) continue;
      if (next_.empty() && t == 0) break;  // nothing predicted the first token
      const at::Tensor before = t == 0 ? next_[h] : log_probs[h][static_cast<std::int64_t>(t) - 1];
      seen[h] = before[ids[t]].item<double>();
    }
    if (next_.empty() && t == 0) continue;
    posterior_.observe(seen);
    evidence_.observe(seen);
  }
  next_.assign(hypotheses_.size(), {});
  for (std::size_t h = 0; h < hypotheses_.size(); ++h) {
    if (log_probs[h].defined()) next_[h] = log_probs[h][static_cast<std::int64_t>(ids.size()) - 1];
  }
  give_up();
  return mixed_log_probs(next_, posterior_.weights());
}

std::vector<double> MixtureDecoder::weights() const {
  std::vector<double> weights = posterior_.weights();
  for (std::size_t h = 0; h < weights.size(); ++h) weights[h] = hypotheses_[h] == nullptr ? 0.0 : weights[h];
  return weights;
}

double MixtureDecoder::kept() const {
  const std::vector<double> left = weights();
  return std::accumulate(left.begin(), left.end(), 0.0);
}

std::ptrdiff_t MixtureDecoder::running() const {
  return std::count_if(hypotheses_.begin(), hypotheses_.end(), [](const auto& one) { return one != nullptr; });
}

void MixtureDecoder::give_up() {
  for (std::size_t h = 0; h < hypotheses_.size(); ++h) {
    if (evidence_.weights()[h] >= options_.negligible) continue;
    hypotheses_[h].reset();
    next_[h].reset();
  }
}

}  // namespace mformer
