#include "core/training/evaluate.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>

#include "core/model/domains.h"
#include "core/model/expert_parallel.h"
#include "core/model/losses.h"
#include "core/training/batch_prefetcher.h"
#include "core/training/evaluate_posterior.h"

namespace mformer {
namespace {

constexpr const char* kInterrupted = "interrupted while the loss was measured";

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
  const std::size_t hypotheses = model.domains.size() + 1;
  const std::size_t stages = options.mode == PosteriorMode::strict ? model.domains.size() : 0;
  EvaluateOptions batches = options;
  if (options.mode == PosteriorMode::fast) batches.batch_size *= 8;  // its probes are short
  const auto columns = static_cast<std::int64_t>(4 + hypotheses + 2 * stages);
  const auto sums = sum_over_batches(windows, batches, columns, [&](const Batch& batch, double* row) {
    const PosteriorLosses posterior = evaluator.losses(batch);
    const at::Tensor counts = batch.targets.ne(PackedWindows::kIgnore);
    *row++ = (posterior.losses * counts).sum().item<double>();
    *row++ = counts.sum().item<double>();
    *row++ = static_cast<double>(posterior.documents), *row++ = static_cast<double>(posterior.observed);
    const at::Tensor weights = posterior.weights.flatten(0, 1).sum(0);
    for (std::size_t h = 0; h < hypotheses; ++h) *row++ = weights[static_cast<std::int64_t>(h)].item<double>();
    for (std::size_t k = 0; k < stages; ++k) {
      *row++ = posterior.earlier[k].loss, *row++ = posterior.earlier[k].bound;
    }
  });
  Evaluation result;
  result.tokens = std::llround(sums[1]);
  result.loss = sums[0] / static_cast<double>(result.tokens);  // NaN without any
  PosteriorSummary summary;
  summary.documents = std::llround(sums[2]), summary.observed = std::llround(sums[3]);
  const double* at = sums.data() + 4;
  for (std::size_t h = 0; h < hypotheses; ++h) {
    summary.shares.push_back(*at++ / static_cast<double>(std::max<std::int64_t>(1, summary.observed)));
  }
  const auto tokens = static_cast<double>(std::max<std::int64_t>(1, result.tokens));
  for (std::size_t k = 0; k < stages; ++k, at += 2) summary.earlier.push_back({at[0] / tokens, at[1] / tokens});
  result.posterior = summary;
  return result;
}

}  // namespace

double Evaluation::perplexity() const {
  return std::exp(loss);
}

void for_each_batch(const PackedWindows& windows, const EvaluateOptions& options,
                    const std::function<void(const Batch&)>& visit) {
  const std::vector<std::int64_t> measured = measured_windows(windows, options.max_tokens);
  const auto used = static_cast<std::int64_t>(measured.size());
  const std::int64_t own = options.group == nullptr ? 0 : options.group->rank();
  const std::int64_t every = options.group == nullptr ? 1 : options.group->size();
  const std::int64_t batches = (used + options.batch_size - 1) / options.batch_size;
  const std::int64_t turns = (batches - (options.in_step ? 0 : own) + every - 1) / every;
  const auto batch_at = [&](std::int64_t turn) {
    const std::int64_t number = std::min(batches, own + turn * every);
    const std::int64_t first = std::min(number, batches - 1) * options.batch_size;
    const std::int64_t end = std::min(used, first + options.batch_size);
    Batch batch = batch_of(windows, {measured.begin() + first, measured.begin() + end});
    batch.number = number;
    return batch;
  };
  if (options.progress) options.progress(0, used);  // one batch of a large model can take a while
  BatchPrefetcher ahead(batch_at, 0, turns);
  for (std::int64_t turn = 0; turn < turns; ++turn) {
    const bool stops = options.should_stop && options.should_stop();
    stop_together(options.in_step ? options.group : nullptr, stops);
    visit(ahead.next());
    if (options.progress) options.progress(std::min(used, (own + (turn + 1) * every) * options.batch_size), used);
  }
}

void stop_together(ProcessGroup* group, bool interrupted) {
  if (group != nullptr) {
    const at::Tensor all = at::zeros({1}, at::kLong).fill_(interrupted ? 1 : 0);
    group->all_reduce_sum(all);
    interrupted = all.item<std::int64_t>() > 0;
  }
  if (interrupted) throw EvaluationInterrupted(kInterrupted);
}

std::vector<double> sum_over_batches(const PackedWindows& windows, const EvaluateOptions& options, std::int64_t columns,
                                     const std::function<void(const Batch&, double*)>& visit) {
  const auto used = static_cast<std::int64_t>(measured_windows(windows, options.max_tokens).size());
  // The last row is that of the batch which processes in step visit for nothing.
  const std::int64_t batches = (used + options.batch_size - 1) / options.batch_size;
  const at::Tensor rows = at::zeros({batches + 1, columns}, at::kDouble);
  auto* row = rows.mutable_data_ptr<double>();
  bool interrupted = false;
  try {
    for_each_batch(windows, options, [&](const Batch& batch) { visit(batch, row + batch.number * columns); });
  } catch (const EvaluationInterrupted&) {
    interrupted = true;
  }
  stop_together(options.group, interrupted);
  if (options.group != nullptr) options.group->all_reduce_sum(rows);  // a row is one process' and 0 elsewhere
  std::vector<double> sums(columns);
  for (std::int64_t i = 0; i < batches * columns; ++i) sums[i % columns] += row[i];
  return sums;
}

void for_each_forward(const Model& model, const PackedWindows& windows, const EvaluateOptions& options,
                      const ForwardOptions& how, const std::function<void(const Batch&, const ForwardOutput&)>& visit) {
  const at::NoGradGuard no_grad;
  for_each_batch(windows, options, [&](const Batch& batch) { visit(batch, forward(model, batch.inputs, how)); });
}

Evaluation evaluate(const Model& model, const PackedWindows& windows, const EvaluateOptions& options) {
  if (!model.domains.empty()) return evaluate_mixture(model, windows, options);
  const at::NoGradGuard no_grad;
  ForwardOptions how;
  how.bfloat16 = options.bfloat16;
  EvaluateOptions together = options;
  together.in_step = is_spread(model);
  const auto sums = sum_over_batches(windows, together, 2, [&](const Batch& batch, double* row) {
    const at::Tensor hidden = forward(model, batch.inputs, how).hidden;
    row[0] = token_losses(model, hidden, batch.targets, options.bfloat16).sum(at::kDouble).item<double>();
    row[1] = batch.targets.ne(PackedWindows::kIgnore).sum().item<double>();
  });
  return {sums[0] / sums[1], std::llround(sums[1])};  // NaN without any
}

}  // namespace mformer
