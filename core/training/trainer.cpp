#include "core/training/trainer.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>

#include <chrono>
#include <cmath>
#include <limits>

#include "core/model/losses.h"
#include "core/training/batch_prefetcher.h"
#include "core/training/best_weights.h"
#include "core/training/evaluate.h"
#include "core/training/gradient_sums.h"
#include "core/training/metrics.h"
#include "core/training/schedule.h"
#include "core/training/snapshot.h"
#include "core/training/step_loss.h"

namespace mformer {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// `x` of the first process, on whatever device.
void take_from_first(ProcessGroup& group, const at::Tensor& x) {
  const at::NoGradGuard no_grad;
  const at::Tensor here = x.detach().cpu().contiguous();
  group.broadcast(here);
  if (!group.is_first()) x.detach().copy_(here);
}

class Run {
 public:
  Run(TrainTask& task, const TrainOptions& options, const TrainHooks& hooks)
      : task_(task),
        options_(options),
        hooks_(hooks),
        folder_(task.group == nullptr || task.group->is_first() ? task.run_folder : std::filesystem::path()),
        optimizer_(task.parameters, options.adamw),
        sums_(task.group, task.parameters),
        best_(task.parameters, options),
        schedule_{options.learning_rate, std::llround(options.warmup * static_cast<double>(options.steps)),
                  options.steps, options.final_fraction} {
    if (!folder_.empty()) {
      std::filesystem::create_directories(folder_);
      first_ = load_snapshot(folder_, optimizer_, best_.state()).value_or(0);
    }
    if (task.group != nullptr) begin_as_the_first(*task.group);
    if (task.resumed) task.resumed(first_);
  }

  TrainResult all_steps() {
    MetricsLog metrics(folder_, first_);
    for (const KeptLoss& kept : metrics.kept_losses()) losses_.push_back(kept);
    make_up_validation(metrics);
    BatchPrefetcher batches(task_.batches, first_ * options_.accumulate, options_.steps * options_.accumulate);
    const Clock::time_point start = Clock::now();
    std::int64_t step = first_;
    for (; step < options_.steps && !best_.is_stale(); ++step) {
      StepReport report = one_step_or_lose(step, batches);
      const bool cut = is_validated_after(step + 1) && !validate(report);
      metrics.write(report);
      note(report);
      const bool last = step + 1 == options_.steps || best_.is_stale();
      if (hooks_.on_step) hooks_.on_step(report);
      if (cut && lost_) lose(step + 1, *lost_);
      if (cut) interrupt(step + 1);
      if (!last && due(step, options_.snapshot_every)) snapshot();
      if (!last && is_to_stop()) interrupt(step + 1);
    }
    result_.first_step = first_;
    result_.seconds = seconds_since(start);
    result_.tokens_per_second = static_cast<double>(result_.tokens) / std::max(result_.seconds, 1e-9);
    result_.asked_steps = options_.steps, result_.steps = step;
    result_.loss = late_loss(step);
    if (task_.group != nullptr) result_.processes = task_.group->size();
    if (step > first_) result_.sent_bytes_per_step /= step - first_;
    keep_best();
    return result_;
  }

 private:
  bool is_validated_after(std::int64_t steps) const {
    return hooks_.validate && steps > 0 && (steps == options_.steps || due(steps - 1, options_.eval_every));
  }

  /// The process before this one may have been stopped in the validation after its last step.
  void make_up_validation(MetricsLog& metrics) {
    if (!is_validated_after(first_)) return;
    StepReport report;
    report.validation_loss = of_first(metrics.last_validation());
    if (!report.validation_loss) {
      if (!validate(report) && lost_) lose(first_, *lost_);
      if (!report.validation_loss) interrupt(first_);
      metrics.add_validation(first_, *report.validation_loss);
    }
    note_validation(first_, *report.validation_loss);
  }

  /// The state that the first process found or made is everybody's.
  void begin_as_the_first(ProcessGroup& group) {
    const at::Tensor taken = at::full({1}, first_, at::kLong);
    group.broadcast(taken);
    first_ = taken.item<std::int64_t>();
    for (const TrainedParameter& parameter : optimizer_.parameters()) take_from_first(group, parameter.tensor);
    if (first_ == 0) return;
    for (const auto& [name, tensor] : optimizer_.state()) take_from_first(group, tensor);
    for (const auto& [name, tensor] : best_.state()) take_from_first(group, tensor);
    optimizer_.set_steps(first_);
  }

  std::optional<double> of_first(const std::optional<double>& value) const {
    if (task_.group == nullptr) return value;
    const at::Tensor all = at::tensor({value ? 1.0 : 0.0, value.value_or(0.0)}, at::kDouble);
    task_.group->broadcast(all);
    return all[0].item<double>() != 0 ? std::optional<double>(all[1].item<double>()) : std::nullopt;
  }

  /// What a process that does not answer leaves: the state before the step that it was needed for.
  StepReport one_step_or_lose(std::int64_t step, BatchPrefetcher& batches) {
    try {
      return one_step(step, batches);
    } catch (const ProcessError& error) {
      lose(step, error);
    }
  }

  /// Every process adds what it has; all get the sums.
  void add_up(StepLoss& loss) {
    if (task_.group == nullptr) return;
    const bool stops = hooks_.should_stop && hooks_.should_stop();
    const at::Tensor all = at::tensor({loss.cross_entropy, loss.total, stops ? 1.0 : 0.0}, at::kDouble);
    task_.group->all_reduce_sum(all);
    loss.cross_entropy = all[0].item<double>(), loss.total = all[1].item<double>();
    all_stop_ = all[2].item<double>() > 0;
  }

  /// Of several processes all say the same.
  bool is_to_stop() const { return task_.group != nullptr ? all_stop_ : hooks_.should_stop && hooks_.should_stop(); }

  static bool due(std::int64_t step, std::int64_t every) { return every > 0 && (step + 1) % every == 0; }

  StepReport one_step(std::int64_t step, BatchPrefetcher& batches) {
    const Clock::time_point start = Clock::now();
    const std::vector<Batch> parts = batches_of(step, batches);
    if (task_.before_step) task_.before_step(step);
    optimizer_.clear_gradients();
    StepLoss loss;
    std::int64_t targets = 0, tokens = 0;
    const std::int64_t sent = task_.group == nullptr ? 0 : task_.group->bytes_sent();
    for (const Batch& part : parts) {
      if (&part == &parts.back()) sums_.begin();
      loss += forward_backward(task_, options_, part, frozen_);
      targets += counted(part.targets), tokens += part.inputs.numel();
    }
    sums_.finish();
    add_up(loss);
    if (task_.group != nullptr) result_.sent_bytes_per_step += task_.group->bytes_sent() - sent;
    const double norm = optimizer_.gradient_norm();
    if (!std::isfinite(loss.total) || !std::isfinite(norm)) diverged(step, loss.total);
    const double scale = options_.clip > 0.0 && norm > options_.clip ? options_.clip / norm : 1.0;
    const double rate = schedule_.at(step);
    optimizer_.step(rate, scale);
    result_.tokens += tokens;
    const double speed = static_cast<double>(tokens) / std::max(seconds_since(start), 1e-9);
    const double reported = targets > 0 ? loss.cross_entropy : std::numeric_limits<double>::quiet_NaN();
    return {step + 1, reported, targets, loss.balance, rate, norm, speed, std::nullopt};
  }

  /// The batches of a step: each knows the targets of all, so that their losses are parts of one mean.
  std::vector<Batch> batches_of(std::int64_t step, BatchPrefetcher& batches) const {
    std::vector<Batch> parts;
    std::int64_t targets = 0;
    for (std::int64_t part = 0; part < options_.accumulate; ++part) {
      parts.push_back(batches.next());
      targets += counted(parts.back().targets);
      parts.back().number = step * options_.accumulate + part;
    }
    for (Batch& part : parts) {
      part.step = step;
      part.counted = std::max<std::int64_t>(1, targets);
      part.share = 1.0 / static_cast<double>(options_.accumulate);
    }
    return parts;
  }

  /// False when it was stopped. That is a stop of the training: the step before it is done and is kept.
  bool validate(StepReport& report) {
    try {
      report.validation_loss = hooks_.validate();
      return true;
    } catch (const EvaluationInterrupted&) {
      return false;
    } catch (const ProcessError& error) {
      lost_ = error;
      return false;
    }
  }

  void note(const StepReport& report) {
    losses_.push_back({report.step, report.loss, report.targets});
    if (report.validation_loss.has_value()) note_validation(report.step, *report.validation_loss);
  }

  void note_validation(std::int64_t step, double loss) {
    result_.validation_loss = loss;
    best_.note(step, loss);
  }

  /// Over the last tenth of `steps`; NaN where nothing counted.
  double late_loss(std::int64_t steps) const {
    double sum = 0;
    std::int64_t targets = 0;
    for (const KeptLoss& loss : losses_) {
      if (loss.targets == 0 || loss.step <= steps - std::max<std::int64_t>(1, steps / 10)) continue;
      sum += loss.loss * static_cast<double>(loss.targets);
      targets += loss.targets;
    }
    return sum / static_cast<double>(targets);
  }

  void keep_best() {
    result_.best_step = best_.kept_step();
    if (!result_.best_step) return;
    best_.restore();
    result_.validation_loss = best_.lowest();
  }

  void snapshot() const {
    if (!folder_.empty()) save_snapshot(folder_, optimizer_, best_.state());
  }

  [[noreturn]] void interrupt(std::int64_t step) const {
    snapshot();
    throw TrainingInterrupted(step,
                              "interrupted after step " + std::to_string(step) + " of " +
                                  std::to_string(options_.steps) + "; everything up to there is saved",
                              "the same command again continues; --restart begins anew");
  }

  /// Another process does not answer; `step` steps are taken.
  [[noreturn]] void lose(std::int64_t step, const ProcessError& error) const {
    snapshot();
    const std::string what = std::string(error.what()) + "; step " + std::to_string(step) + " of " +
                             std::to_string(options_.steps) + " is saved";
    if (hooks_.should_stop && hooks_.should_stop()) {
      TrainingInterrupted stop(step, what, error.hint());
      stop.set_lost(error.what());
      throw stop;
    }
    throw ProcessError(what, error.hint());
  }

  [[noreturn]] void diverged(std::int64_t step, double loss) const {
    snapshot();
    throw Error("training diverged: loss " + std::to_string(loss) + " at step " + std::to_string(step + 1) +
                    " (the step was not taken; the state before it is kept)",
                "try a smaller --lr, a longer --warmup or a smaller --clip, with --restart");
  }

  TrainTask& task_;
  const TrainOptions& options_;
  const TrainHooks& hooks_;
  FrozenPanels frozen_ = c10::make_intrusive<kernels::FrozenPanels>();
  std::filesystem::path folder_;  ///< Where this process keeps anything.
  AdamW optimizer_;
  GradientSums sums_;
  BestWeights best_;
  Schedule schedule_;
  std::int64_t first_ = 0;
  bool all_stop_ = false;             ///< Some process was asked to.
  std::optional<ProcessError> lost_;  ///< In a validation.
  TrainResult result_;
  std::vector<KeptLoss> losses_;  ///< of every step, those of earlier processes first
};

}  // namespace

TrainResult train(TrainTask& task, const TrainOptions& options, const TrainHooks& hooks) {
  options.validate();
  if (task.parameters.empty()) {
    throw Error("there is nothing to train: every chosen module is frozen", "unfreeze some: mformer unfreeze SELECTOR");
  }
  if (!hooks.validate && options.chooses()) {
    throw Error("--keep-best and --patience go by validation losses, and there are none");
  }
  if (task.group != nullptr && options.batch_size < task.group->size()) {
    throw UsageError("a batch of " + std::to_string(options.batch_size) + " windows can't be split over " +
                         std::to_string(task.group->size()) + " processes",
                     "--batch " + std::to_string(task.group->size()) + ", or start fewer processes");
  }
  return Run(task, options, hooks).all_steps();
}

}  // namespace mformer
