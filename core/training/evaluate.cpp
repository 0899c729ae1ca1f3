#include "core/training/evaluate.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>

#include "core/model/domains.h"
#include "core/model/losses.h"
#include "core/training/batch_prefetcher.h"
#include "core/training/evaluate_posterior.h"

namespace mformer {
namespace {

Evaluation finished(Evaluation result, double sum) {
  result.loss = sum / static_cast<double>(result.tokens);  // NaN without any
  return result;
}

/// Windows spread evenly over the data. Where all of these are prompts throughout, of each the next one that is not:
/// an even sample of long prompts may miss every answer.
std::vector<std::int64_t> measured_windows(const PackedWindows& windows, std::int64_t max_tokens) {
  std::int64_t used = windows.size();
  if (max_tokens > 0) used = std::clamp<std::int64_t>(max_tokens / windows.context(), 1, windows.size());
  std::vector<std::int64_t> numbers;
  for (std::int64_t i = 0; i < used; ++i) numbers.push_back(i * windows.size() / used);
  const bool counts =
      std::any_of(numbers.begin(), numbers.end(), [&](auto number) { return windows.has_target(number); });
  if (counts || used == windows.size()) return numbers;
  for (std::int64_t& number : numbers) number = windows.next_with_target(number).value_or(number);
  std::sort(numbers.begin(), numbers.end());
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  return numbers;
}

Evaluation evaluate_mixture(const Model& model, const PackedWindows& windows, const EvaluateOptions& options) {
  const PosteriorEvaluator evaluator(views_of(model), options.posterior, options.bfloat16, options.mode);
  double sum = 0;
  Evaluation result;
  PosteriorSummary summary;
  summary.shares.resize(model.domains.size() + 1);
  if (options.mode == PosteriorMode::strict) summary.earlier.resize(model.domains.size());
  EvaluateOptions batches = options;
  if (options.mode == PosteriorMode::fast) batches.batch_size *= 8;  // its probes are short
  for_each_batch(windows, batches, [&](const Batch& batch) {
    const PosteriorLosses posterior = evaluator.losses(batch);
    const at::Tensor counts = batch.targets.ne(PackedWindows::kIgnore);
    sum += (posterior.losses * counts).sum().item<double>();
    result.tokens += counts.sum().item<std::int64_t>();
    summary.documents += posterior.documents, summary.observed += posterior.observed;
    const at::Tensor weights = posterior.weights.flatten(0, 1).sum(0);
    for (std::size_t h = 0; h < summary.shares.size(); ++h) {
      summary.shares[h] += weights[static_cast<std::int64_t>(h)].item<double>();
    }
    for (std::size_t k = 0; k < summary.earlier.size(); ++k) {
      summary.earlier[k].loss += posterior.earlier[k].loss, summary.earlier[k].bound += posterior.earlier[k].bound;
    }
  });
  for (double& share : summary.shares) share /= static_cast<double>(std::max<std::int64_t>(1, summary.observed));
  for (EarlierLoss& one : summary.earlier) {
    const auto tokens = static_cast<double>(std::max<std::int64_t>(1, result.tokens));
    one.loss /= tokens, one.bound /= tokens;
  }
  result.posterior = summary;
  return finished(result, sum);
}

}  // namespace

double Evaluation::perplexity() const {
  return std::exp(loss);
}

void for_each_batch(const PackedWindows& windows, const EvaluateOptions& options,
                    const std::function<void(const Batch&)>& visit) {
  const std::vector<std::int64_t> measured = measured_windows(windows, options.max_tokens);
  const auto used = static_cast<std::int64_t>(measured.size());
  const auto batch_at = [&](std::int64_t number) {
    const std::int64_t first = number * options.batch_size, end = std::min(used, first + options.batch_size);
    return batch_of(windows, {measured.begin() + first, measured.begin() + end});
  };
  if (options.progress) options.progress(0, used);  // one batch of a large model can take a while
  BatchPrefetcher batches(batch_at, 0, (used + options.batch_size - 1) / options.batch_size);
  for (std::int64_t first = 0; first < used; first += options.batch_size) {
    if (options.should_stop && options.should_stop())
      throw EvaluationInterrupted("interrupted while the loss was measured");
    visit(batches.next());
    if (options.progress) options.progress(std::min(used, first + options.batch_size), used);
  }
}

void for_each_forward(const Model& model, const PackedWindows& windows, const EvaluateOptions& options,
                      const ForwardOptions& how, const std::function<void(const Batch&, const ForwardOutput&)>& visit) {
  const at::NoGradGuard no_grad;
  for_each_batch(windows, options, [&](const Batch& batch) { visit(batch, forward(model, batch.inputs, how)); });
}

Evaluation evaluate(const Model& model, const PackedWindows& windows, const EvaluateOptions& options) {
  if (!model.domains.empty()) return evaluate_mixture(model, windows, options);
  ForwardOptions how;
  how.bfloat16 = options.bfloat16;
  double sum = 0;
  Evaluation result;
  for_each_forward(model, windows, options, how, [&](const Batch& batch, const ForwardOutput& output) {
    sum += token_losses(model, output.hidden, batch.targets, options.bfloat16).sum(at::kDouble).item<double>();
    result.tokens += batch.targets.ne(PackedWindows::kIgnore).sum().item<std::int64_t>();
  });
  return finished(result, sum);
}

}  // namespace mformer
