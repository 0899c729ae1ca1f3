#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "core/model/forward.h"
#include "core/model/posterior.h"
#include "core/parallel/process_group.h"
#include "core/text/packing.h"
#include "core/training/batch.h"
#include "core/training/mix_posterior.h"
#include "modules_registry/error.h"

namespace mformer {

struct EvaluateOptions {
  std::int64_t max_tokens = 0;  ///< Stop after this many tokens of input, spread evenly over the data; 0 = all.
  std::int64_t batch_size = 8;
  bool bfloat16 = false;
  PosteriorOptions posterior;                  ///< Of models with domains.
  PosteriorMode mode = PosteriorMode::strict;  ///< Of models with domains.
  ProcessGroup* group = nullptr;               ///< Processes that split the batches; null = this one has all.
  /// With a group, all processes visit equally many batches, and stop after the same one: what a spread model
  /// (core/model/expert_parallel.h) wants, whose forward passes are everybody's work. evaluate() sets it.
  bool in_step = false;
  std::function<bool()> should_stop;  ///< Asked between batches; true throws EvaluationInterrupted.
  std::function<void(std::int64_t done, std::int64_t total)> progress;  ///< In windows.
};

class EvaluationInterrupted : public StoppedError {
 public:
  using StoppedError::StoppedError;
};

/// Which hypotheses of a model with domains predicted.
struct PosteriorSummary {
  std::vector<double> shares;                ///< [hypotheses] mean weight over the tokens observed.
  std::int64_t documents = 0, observed = 0;  ///< As PosteriorLosses.
  /// Strict: [domains], of the base alone, of it and the first domain, …; nats per token, as the loss, which is at most
  /// the sum of the two. The base's is the number that it has as a plain model. Empty in the fast mode.
  std::vector<EarlierLoss> earlier = {};
};

struct Evaluation {
  double loss = 0;          ///< Mean cross-entropy, nats per token, over the targets that count; NaN where none does.
  std::int64_t tokens = 0;  ///< How many these were.
  std::optional<PosteriorSummary> posterior = {};  ///< Of a model with domains.
  double perplexity() const;
};

/// Loss of the model on these windows; no gradients. The sum runs in double, in a fixed order. With domains it is the
/// loss of the posterior mixture (core/model/posterior.h). With a group every process gets the same, and the bits of
/// one process alone: whoever runs a batch, the sums of batches are added up in their order. Where one is asked to
/// stop, all throw EvaluationInterrupted.
Evaluation evaluate(const Model& model, const PackedWindows& windows, const EvaluateOptions& options = {});

/// Runs the model, which must be plain, over the windows and hands each batch's forward pass on; what evaluate() and
/// statistics share.
void for_each_forward(const Model& model, const PackedWindows& windows, const EvaluateOptions& options,
                      const ForwardOptions& how, const std::function<void(const Batch&, const ForwardOutput&)>& visit);

/// The batches that evaluation visits, in order: windows spread evenly over the data, at most `max_tokens` of input (at
/// least one window). Where these hold no target, of each the next window that does. Batch::number counts them. With a
/// group those of this process, every size-th. In step a process that has one batch fewer than others visits the last
/// batch of all again, under the number that none has.
void for_each_batch(const PackedWindows& windows, const EvaluateOptions& options,
                    const std::function<void(const Batch&)>& visit);

/// The same, and adds up what `visit` says of each batch: [columns], float64, 0 before it. With a group the sums are
/// over the batches of all processes.
std::vector<double> sum_over_batches(const PackedWindows& windows, const EvaluateOptions& options, std::int64_t columns,
                                     const std::function<void(const Batch&, double*)>& visit);

/// Throws EvaluationInterrupted on every process where `interrupted` is true on any.
void stop_together(ProcessGroup* group, bool interrupted);

}  // namespace mformer
