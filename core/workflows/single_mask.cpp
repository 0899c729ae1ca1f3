#include "core/workflows/single_mask.h"

#include <ATen/ops/repeat_interleave.h>

#include <algorithm>
#include <cmath>

#include "core/model/placement.h"
#include "core/surgery/new_modules.h"
#include "core/surgery/token_rows.h"
#include "core/training/place_rows.h"

namespace mformer {
namespace {

constexpr double kOldWeight = 6.0;                // an old token that goes to a new module costs more than the reverse
constexpr std::int64_t kPlacementTokens = 16384;  // of old and of new text
constexpr std::int64_t kPlacementBatch = 8;       // windows of a forward pass
constexpr std::int64_t kRehearsedTokens = 1 << 17;  // at most so many are written, and learned again and again

/// Mean router probability that the (replayed, if any) tokens give to modules without a uid, summed over routers.
at::Tensor mass_in_new_modules(const Model& model, const ForwardOutput& output, const Batch& batch) {
  at::Tensor total;
  for (std::size_t l = 0; l < model.blocks.size(); ++l) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      const auto& modules = model.blocks[l].bank(kind).modules;
      const auto old = std::count_if(modules.begin(), modules.end(), [](const Module& m) { return !m.uid.empty(); });
      const auto fresh = static_cast<std::int64_t>(modules.size()) - old;
      if (fresh == 0 || !model.blocks[l].bank(kind).routed) continue;
      at::Tensor mass = output.routing[l].bank(kind).decision.probs.narrow(1, old, fresh).sum(1);
      if (batch.replay.defined()) {
        const at::Tensor weight = at::repeat_interleave(batch.replay.to(mass.options()), batch.inputs.size(1));
        mass = (mass * weight).sum() / weight.sum().clamp_min(1.0);
      } else {
        mass = mass.mean();
      }
      total = total.defined() ? total + mass : mass;
    }
  }
  return total.defined() ? total : at::zeros({});
}

/// kPlacementTokens of the windows' memory, spread evenly, or all of it, as batches.
void add_sample(const PackedWindows& windows, double memory, std::vector<Batch>& batches) {
  const std::vector<std::int64_t> numbers = memory_of(windows, memory);
  const std::int64_t most = std::max<std::int64_t>(1, kPlacementTokens / windows.context());
  const auto count = std::min(static_cast<std::int64_t>(numbers.size()), most);
  std::vector<std::int64_t> few;
  for (std::int64_t i = 0; i < count; ++i) {
    few.push_back(numbers[i * static_cast<std::int64_t>(numbers.size()) / count]);
    if (static_cast<std::int64_t>(few.size()) < kPlacementBatch && i + 1 < count) continue;
    batches.push_back(batch_of(windows, few));
    few.clear();
  }
}

}  // namespace

SingleMask::SingleMask(Session& session, const Model& parent, Model& model, const ExtendCommand& command,
                       const TaskData& task, const std::vector<TaskData>& tasks, const PackedWindows& windows)
    : session_(session),
      parent_(parent),
      model_(model),
      command_(command),
      task_(task),
      tasks_(tasks),
      windows_(windows) {}

std::vector<PackedWindows> SingleMask::others() const {
  return windows_of_others(tasks_, task_.record.name, windows_.context());
}

double SingleMask::replay_share() const {
  const bool none = others().empty() || command_.rehearses();
  return command_.replay.value_or(none ? 0 : ExtendCommand::kReplay);
}

std::int64_t SingleMask::rehearsed_rows() const {
  const double rows = command_.rehearse.value_or(0) * static_cast<double>(command_.options.batch_size);
  return std::max<std::int64_t>(1, std::llround(rows));
}

BatchSource SingleMask::with_rehearsal(BatchSource own) const {
  return rehearsal_.has_value() ? rehearsal_->behind(std::move(own), rehearsed_rows()) : own;
}

void SingleMask::train_rare_tokens(TrainTask& training, TrainReport& report) {
  std::vector<TaskData> earlier = tasks_;
  std::erase_if(earlier, [&](const TaskData& task) { return task.record.name == task_.record.name; });
  const at::Tensor rare = rare_tokens(model_.config.vocab_size, earlier, command_.token_rows);
  const auto rows = train_token_rows(model_, rare);
  training.parameters.insert(training.parameters.end(), rows.begin(), rows.end());
  report.trainable.trunk +=
      rare.sum().item<std::int64_t>() * model_.config.n_embd * static_cast<std::int64_t>(rows.size());
  report.optimizer_bytes = report.trainable.optimizer_bytes();
}

void SingleMask::prepare(TrainTask& training, TrainReport& report) {
  const auto old = others();
  if (old.empty() && command_.rehearses()) {
    throw Error("rehearsal needs the text of an earlier task to begin with, and none can be read",
                "--rehearse 0 trains the new modules alone");
  }
  if (old.empty()) return;
  if (command_.token_rows > 0) train_rare_tokens(training, report);
  if (!command_.rehearses() && replay_share() == 0) return;
  PlacementOptions options;
  options.old_weight = kOldWeight;
  std::vector<Batch> old_text, new_text;
  for (const PackedWindows& other : old) add_sample(other, command_.memory, old_text);
  add_sample(windows_, 1.0, new_text);
  if (command_.rehearses()) {
    const std::int64_t texts = std::min(std::max<std::int64_t>(1, kRehearsedTokens / windows_.context()),
                                        command_.options.steps * command_.options.accumulate * rehearsed_rows());
    rehearsal_.emplace(parent_, old_text, texts, command_.options.seed, session_.watcher, device_of(model_));
    old_text = rehearsal_->sample(std::max<std::int64_t>(1, kPlacementTokens / windows_.context()), kPlacementBatch);
  }
  place_rows(model_, old_text, new_text, options);
}

std::function<at::Tensor(const ForwardOutput&, const Batch&)> SingleMask::loss() const {
  return [this](const ForwardOutput& output, const Batch& batch) {
    at::Tensor loss;
    if (command_.separation > 0 && batch.replay.defined()) {
      loss = command_.separation * placement_loss(model_, output, batch, kOldWeight);
    }
    if (rehearsal_.has_value()) {
      const at::Tensor kl = command_.rehearse_weight * rehearsal_->loss(model_, output.hidden, batch, rehearsed_rows());
      loss = loss.defined() ? loss + kl : kl;
    }
    if (command_.penalty > 0) {
      const at::Tensor mass = command_.penalty * mass_in_new_modules(model_, output, batch);
      loss = loss.defined() ? loss + mass : mass;
    }
    return loss.defined() ? batch.share * loss : loss;
  };
}

void SingleMask::review(const std::filesystem::path& folder) {
  auto old = others();
  const std::int64_t steps = command_.review_steps.value_or(replay_share() > 0 ? command_.options.steps / 10 : 0);
  if (steps == 0 || old.empty()) return;
  TrainOptions options = command_.options;
  options.steps = steps;
  static_cast<ValidationOptions&>(options) = {};  // nothing of the review is validated
  options.seed += 1;
  TrainTask training;
  training.model = &model_;
  training.parameters = make_trainable(
      model_, [&](const ParameterRef& ref) { return is_of_new_module(model_, ref) && ref.role == ParameterRole::row; });
  training.batches =
      batches_with_replay(windows_, std::move(old), 0.5, options.seed, options.batch_size, command_.memory);
  training.balance = false;
  training.run_folder = folder;
  train(training, options, hooks_for(session_, "review", options));
}

}  // namespace mformer
