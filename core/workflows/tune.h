#pragma once

#include <memory>
#include <string>

#include "core/workflows/train.h"
#include "core/workspace/run_folder.h"

namespace mformer {

/// Peak learning rate for weights that are trained already: they are moved gently.
inline constexpr double kTuneLearningRate = 3e-4;

/// What the loss of tuning adds to the cross-entropy on the task; everything 0 = nothing.
struct TuneLoss {
  double concentrate = 0;  ///< c of the load concentration, see concentration_loss().
  double sharpen = 0;      ///< Its a.
  double concentrate_warmup =
      0;                   ///< Share of the steps over which both grow from 0, linearly; 0 = full from the start.
  double distill = 0;      ///< Weight of distillation_loss().
  double temperature = 1;  ///< Its T.
  std::string teacher;     ///< Version to learn from; empty = the one that is tuned, before pruning.

  /// Throws UsageError naming the option for values out of range, and for a teacher without distillation.
  void validate() const;
  /// Share of the weights of load concentration that counts at `step`, from 0, of `steps`.
  double concentration_at(std::int64_t step, std::int64_t steps) const;
};

/// The model to learn from, and the hash of its version; empty and "" without distillation. It shares `base`'s tensors
/// where that is the teacher; of another with domains it is the hypothesis that reads the task. Throws Error if its
/// tokenizer is another than base's.
struct Teacher {
  std::shared_ptr<const Model> model;
  std::string version;
};
Teacher load_teacher(const Session& session, const LoadedVersion& base, const TaskData& task, const TuneLoss& loss);

/// One training of a part of a model on a task.
struct Tuning {
  Model& model;  ///< Changed in place; must share no tensor with a model that is still needed.
  const TaskData& task;
  std::string stage;  ///< For the progress: "finetune", "heal".
  TrainFilter filter;
  const TuneLoss& loss;
  const Teacher& teacher;
  bool balance = false;  ///< Whether the balance loss is part of the total.
  /// As TrainTask's, with the model that is trained, which on another device is not the one above.
  std::function<void(Model& model, std::int64_t steps)> resumed = {};
  std::function<void(Model& model, std::int64_t step)> before_step = {};
};

/// Trains, without the balance loss unless it is asked for. The run is found again by the session's arguments, base, teacher and data.
TrainResult tune(Session& session, const LoadedVersion& base, const TrainCommand& command, const Tuning& tuning,
                 const std::filesystem::path& folder);

/// Where tune() keeps its snapshots of training what `filter` takes of `model`.
RunFolder tuning_folder(const Session& session, const LoadedVersion& base, const TrainCommand& command,
                        const Tuning& tuning);

}  // namespace mformer
