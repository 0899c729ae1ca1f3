#include "core/training/trainer.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include <chrono>
#include <cmath>
#include <limits>

#include "core/model/losses.h"
#include "core/training/batch_prefetcher.h"
#include "core/training/best_weights.h"
#include "core/training/evaluate.h"
#include "core/training/metrics.h"
#include "core/training/schedule.h"
#include "core/training/snapshot.h"

namespace mformer {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Dropout and sampling of a batch depend on (seed, number) alone: a resumed run needs no generator state.
at::Generator generator_of_batch(std::uint64_t seed, std::int64_t number) {
  std::uint64_t x = seed + 0x9e3779b97f4a7c15ULL * static_cast<std::uint64_t>(number + 1);
  x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27U)) * 0x94d049bb133111ebULL;
  return at::detail::createCPUGenerator(x ^ (x >> 31U));
}

/// Of one batch; over the batches of a step the three add up to the step's.
struct StepLoss {
  double cross_entropy = 0, balance = 0, total = 0;

  void operator+=(const StepLoss& other) {
    cross_entropy += other.cross_entropy, balance += other.balance, total += other.total;
  }
};

using FrozenPanels = c10::intrusive_ptr<kernels::FrozenPanels>;

StepLoss forward_backward(const TrainTask& task, const TrainOptions& options, const Batch& batch,
                          const FrozenPanels& frozen) {
  ForwardOptions how;
  how.frozen_panels = frozen;
  how.training = true;
  how.bfloat16 = options.bfloat16;
  how.generator = generator_of_batch(options.seed, batch.number);
  if (task.pools.pools > 0) how.pools = draw_documents(batch.inputs, task.pools, *how.generator);
  const ForwardOutput output = forward(*task.model, batch.inputs, how);
  const at::Tensor prediction =
      cross_entropy(*task.model, output.hidden, batch.targets, options.bfloat16, batch.counted);
  const double weight = task.balance ? task.model->config.aux_loss_weight : 0.0;
  at::Tensor total = prediction, balance = at::zeros({}, prediction.options());
  if (weight > 0.0) {
    balance = batch.share * balance_loss(task.model->config, output.routing);
    total = total + weight * balance;
  }
  if (task.extra_loss) {
    const at::Tensor extra = task.extra_loss(output, batch);
    if (extra.defined()) total = total + extra;
  }
  total.backward();
  // One wait for the device, when all its work of the step is under way.
  const auto number = [](const at::Tensor& x) { return x.detach().to(at::kDouble); };
  const at::Tensor losses = at::stack({number(prediction), number(balance), number(total)}).cpu();
  return {losses[0].item<double>(), losses[1].item<double>(), losses[2].item<double>()};
}

class Run {
 public:
  Run(TrainTask& task, const TrainOptions& options, const TrainHooks& hooks)
      : task_(task),
        options_(options),
        hooks_(hooks),
        optimizer_(task.parameters, options.adamw),
        best_(task.parameters, options),
        schedule_{options.learning_rate, std::llround(options.warmup * static_cast<double>(options.steps)),
                  options.steps, options.final_fraction} {
    if (!task.run_folder.empty()) {
      std::filesystem::create_directories(task.run_folder);
      first_ = load_snapshot(task.run_folder, optimizer_, best_.state()).value_or(0);
    }
    if (task.resumed) task.resumed(first_);
  }

  TrainResult all_steps() {
    MetricsLog metrics(task_.run_folder, first_);
    for (const KeptLoss& kept : metrics.kept_losses()) losses_.push_back(kept);
    make_up_validation(metrics);
    BatchPrefetcher batches(task_.batches, first_ * options_.accumulate, options_.steps * options_.accumulate);
    const Clock::time_point start = Clock::now();
    std::int64_t step = first_;
    for (; step < options_.steps && !best_.is_stale(); ++step) {
      StepReport report = one_step(step, batches);
      const bool cut = is_validated_after(step + 1) && !validate(report);
      metrics.write(report);
      note(report);
      const bool last = step + 1 == options_.steps || best_.is_stale();
      if (hooks_.on_step) hooks_.on_step(report);
      if (cut) interrupt(step + 1);
      if (!last && due(step, options_.snapshot_every)) snapshot();
      if (!last && hooks_.should_stop && hooks_.should_stop()) interrupt(step + 1);
    }
    result_.first_step = first_;
    result_.seconds = seconds_since(start);
    result_.tokens_per_second = static_cast<double>(result_.tokens) / std::max(result_.seconds, 1e-9);
    result_.asked_steps = options_.steps, result_.steps = step;
    result_.loss = late_loss(step);
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
    report.validation_loss = metrics.last_validation();
    if (!report.validation_loss) {
      if (!validate(report)) interrupt(first_);
      metrics.add_validation(first_, *report.validation_loss);
    }
    note_validation(first_, *report.validation_loss);
  }

  static bool due(std::int64_t step, std::int64_t every) { return every > 0 && (step + 1) % every == 0; }

  StepReport one_step(std::int64_t step, BatchPrefetcher& batches) {
    const Clock::time_point start = Clock::now();
    const std::vector<Batch> parts = batches_of(step, batches);
    if (task_.before_step) task_.before_step(step);
    optimizer_.clear_gradients();
    StepLoss loss;
    std::int64_t targets = 0, tokens = 0;
    for (const Batch& part : parts) {
      loss += forward_backward(task_, options_, part, frozen_);
      targets += counted(part.targets), tokens += part.inputs.numel();
    }
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
  bool validate(StepReport& report) const {
    try {
      report.validation_loss = hooks_.validate();
      return true;
    } catch (const EvaluationInterrupted&) {
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
    if (!task_.run_folder.empty()) save_snapshot(task_.run_folder, optimizer_, best_.state());
  }

  [[noreturn]] void interrupt(std::int64_t step) const {
    snapshot();
    throw TrainingInterrupted(step,
                              "interrupted after step " + std::to_string(step) + " of " +
                                  std::to_string(options_.steps) + "; everything up to there is saved",
                              "the same command again continues; --restart begins anew");
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
  AdamW optimizer_;
  BestWeights best_;
  Schedule schedule_;
  std::int64_t first_ = 0;
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
  return Run(task, options, hooks).all_steps();
}

}  // namespace mformer
