#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <vector>

#include "core/workflows/extend.h"
#include "core/workflows/rehearsal.h"

namespace mformer {

/// What `extend --single-mask` does beyond training the new modules: it holds old text and new modules apart, with a
/// memory of the earlier tasks' text. docs/training.md has the formulas.
class SingleMask {
 public:
  /// `parent` is the model that is extended; `model` has the new modules, those without a uid, and is changed in place;
  /// all are kept by reference. `tasks` are all that can be read, `windows` the new task's training text.
  SingleMask(Session& session, const Model& parent, Model& model, const ExtendCommand& command, const TaskData& task,
             const std::vector<TaskData>& tasks, const PackedWindows& windows);

  /// Share of windows that are replayed: the command's, or its default where there is an earlier task.
  double replay_share() const;

  /// Before training: writes what is rehearsed, places the new router rows, and adds the rows of rare tokens to what is
  /// trained and counted.
  void prepare(TrainTask& training, TrainReport& report);

  /// The batches of `own` with what is rehearsed, if anything is.
  BatchSource with_rehearsal(BatchSource own) const;

  /// What is added to the loss.
  std::function<at::Tensor(const ForwardOutput&, const Batch&)> loss() const;

  /// A short last stage on a half-and-half mix of old and new text that moves only the new router rows.
  void review(const std::filesystem::path& folder);

 private:
  std::vector<PackedWindows> others() const;
  std::int64_t rehearsed_rows() const;
  void train_rare_tokens(TrainTask& training, TrainReport& report);

  Session& session_;
  const Model& parent_;
  Model& model_;
  const ExtendCommand& command_;
  const TaskData& task_;
  const std::vector<TaskData>& tasks_;
  const PackedWindows& windows_;
  std::optional<Rehearsal> rehearsal_;
};

}  // namespace mformer
