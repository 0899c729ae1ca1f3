#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/model/forward.h"
#include "core/model/model.h"
#include "core/parallel/process_group.h"
#include "core/training/adamw.h"
#include "core/training/batch.h"
#include "core/training/trainable.h"
#include "modules_registry/error.h"

namespace mformer {

/// How each step trains. Changing a field changes the result, except snapshot_every.
struct StepOptions {
  std::int64_t batch_size = 8;  ///< Windows a forward pass.
  std::int64_t accumulate = 1;  ///< Batches a step: their gradients are added up before the weights move.
  std::int64_t context = 0;     ///< Tokens a window; 0 = the model's default_context().
  double learning_rate = 1e-3;  ///< Peak; see Schedule.
  double warmup = 0.05;         ///< Share of the steps that warm up, 0 … 1.
  double final_fraction = 0.1;  ///< Of the peak, at the last step.
  double clip = 1.0;            ///< Largest norm of all gradients as one vector; 0 = no clipping.
  AdamWOptions adamw;
  bool bfloat16 = false;              ///< Matrix products in bfloat16.
  std::uint64_t seed = 0;             ///< Decides batches, dropout and sampling.
  std::int64_t snapshot_every = 100;  ///< Steps between snapshots; 0 = only when interrupted.

  /// Throws UsageError naming the option for values out of range.
  void validate() const;
};

/// When a training is validated, and what it makes of that.
struct ValidationOptions {
  std::int64_t eval_every = 0;  ///< Steps between validation losses, and one after the last; 0 = only that.
  bool keep_best = false;       ///< End with the weights of the lowest validation loss, instead of the last.
  std::int64_t patience = 0;    ///< End after so many validations that were no lower than the lowest; 0 = never.

  /// Whether validation losses decide the result.
  bool chooses() const { return keep_best || patience > 0; }
  /// Throws UsageError naming the option for values out of range, and where there is nothing to choose among.
  void validate() const;
};

struct TrainOptions : StepOptions, ValidationOptions {
  std::int64_t steps = 1000;

  /// Throws UsageError naming the option for values out of range.
  void validate() const;
};

/// What one step did.
struct StepReport {
  std::int64_t step = 0;     ///< Counted from 1.
  double loss = 0;           ///< Cross-entropy, nats per token, over the step's targets; NaN without any.
  std::int64_t targets = 0;  ///< How many counted.
  double balance = 0;        ///< Balance loss, unweighted; the mean over the step's batches.
  double learning_rate = 0;
  double gradient_norm = 0;  ///< Before clipping.
  double tokens_per_second = 0;
  std::optional<double> validation_loss;
};

/// What the trainer tells and asks its caller.
struct TrainHooks {
  std::function<void(const StepReport&)> on_step;
  /// Asked after every step; true makes the trainer save a snapshot and throw TrainingInterrupted.
  std::function<bool()> should_stop;
  /// Validation loss of the model as it is; called every eval_every steps and after the last.
  std::function<double()> validate;
};

/// What is trained, on what, with which further loss.
struct TrainTask {
  Model* model = nullptr;
  std::vector<TrainedParameter> parameters;
  BatchSource batches;  ///< Called on another thread, for the step after the one that is being taken.
  /// Added to cross-entropy + aux_loss_weight · balance loss; may be empty. Gets the forward pass and the batch. What
  /// is a sum over targets divides by Batch::counted, what is a mean over tokens multiplies by Batch::share.
  std::function<at::Tensor(const ForwardOutput&, const Batch&)> extra_loss;
  /// Called once the weights are as `steps` steps left them: 0 of a new run, more of one that goes on. May be empty.
  std::function<void(std::int64_t steps)> resumed;
  /// Called before step `step`, from 0, is taken; may change the model in place. May be empty.
  std::function<void(std::int64_t step)> before_step;
  bool balance = true;  ///< Whether the balance loss is part of the total, over each batch as a whole.
  PoolOptions pools;    ///< Of pretraining; off by default.
  /// The processes that train together, each on its part of every batch; null = this one alone. All are given the same
  /// task but for the run folder, which only the first one uses.
  ProcessGroup* group = nullptr;
  std::filesystem::path run_folder;  ///< Holds metrics.jsonl and snapshot.safetensors; empty = keep neither.
};

struct TrainResult {
  std::int64_t first_step = 0;  ///< > 0 when a snapshot was continued.
  /// Mean cross-entropy over the targets of the last tenth of the steps taken, those of earlier processes included; NaN
  /// without any.
  double loss = 0;
  std::optional<double> validation_loss;  ///< Of the weights that training ended with, the best if they were kept.
  std::int64_t asked_steps = 0;           ///< TrainOptions::steps.
  std::int64_t steps = 0;                 ///< Taken in all, by earlier processes too: fewer than asked for by patience.
  std::optional<std::int64_t> best_step;  ///< With keep_best, the step whose weights were kept.
  double seconds = 0;                     ///< Of this process.
  double tokens_per_second = 0;
  std::int64_t tokens = 0;  ///< Seen since it was started, by all processes.
  int processes = 1;
  std::int64_t sent_bytes_per_step = 0;  ///< By this process to others, validations aside; 0 without a step.
};

/// Stopped on request; everything needed to go on is in the run folder.
class TrainingInterrupted : public StoppedError {
 public:
  TrainingInterrupted(std::int64_t step, const std::string& what, const std::string& hint)
      : StoppedError(what, hint), step_(step) {}
  std::int64_t step() const { return step_; }
  /// What went wrong beside it: another process does not answer. Empty where nothing did.
  const std::string& lost() const { return lost_; }
  void set_lost(std::string what) { lost_ = std::move(what); }

 private:
  std::int64_t step_;
  std::string lost_;
};

/// Trains, going on from the run folder's snapshot if there is one: with the same losses as a run that was never cut.
/// When loss or gradients stop being finite the step is not taken, a snapshot of the last good state is kept, and
/// Error is thrown. Throws Error where validations are to decide and there is no hook for them.
///
/// Several processes split the windows of every batch, add up their gradients, and take the same step: the losses of
/// one process but for the order of sums, whatever is drawn at random included, and with as many processes the same
/// bits. Where any is asked to stop, all stop after the same step. Where one does not answer any more, the first keeps
/// a snapshot of the last step that was taken, and ProcessError is thrown, or TrainingInterrupted where it was itself
/// asked to stop. A snapshot says nothing of processes. Throws UsageError where a batch has fewer windows than there
/// are processes.
TrainResult train(TrainTask& task, const TrainOptions& options, const TrainHooks& hooks);

}  // namespace mformer
