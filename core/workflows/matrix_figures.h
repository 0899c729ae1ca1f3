#pragma once

#include <optional>
#include <string>
#include <vector>

#include "modules_registry/records.h"

namespace mformer {

/// One row of R: a version of the lineage that trained on something, or the last version, whatever made it.
struct MatrixStep {
  VersionRecord version;
  std::string command;             ///< That made the version.
  std::vector<std::string> tasks;  ///< Trained on in this step; empty for a last version that something else made.
};

/// One column of R.
struct MatrixTask {
  std::string name;
  std::optional<std::size_t> learned;  ///< Index of the first step that trained on it; absent if none did.
};

/// R[i, j]: held-out loss of task j after step i, in nats per token. docs/metrics.md has the formulas.
struct ScoreMatrix {
  std::vector<MatrixStep> steps;  ///< Oldest first.
  std::vector<MatrixTask> tasks;  ///< In the order of their learning; those that no step trained on come last.
  std::vector<std::vector<std::optional<double>>> losses;  ///< [steps, tasks]; absent = not measured.
  std::optional<VersionRecord> initial;                    ///< What the first step began from.
  std::vector<std::optional<double>> initial_losses;       ///< [tasks] of `initial`.
  std::vector<std::optional<double>> leak;   ///< [tasks] share of top-k slots in modules born after task j was learned.
  std::optional<double> routing_divergence;  ///< Mean over pairs of learned tasks in the last version, in bits.
};

/// What follows from R for one task. Losses: less is better, so a positive difference is a loss that rose.
struct TaskFigures {
  std::optional<double> after_learning;         ///< R[j, j].
  std::optional<double> last;                   ///< R[T, j].
  std::optional<double> forward_transfer;       ///< R[j−1, j] − initial loss; learned in the second step or later.
  std::optional<double> forgetting_first_last;  ///< R[T, j] − R[j, j]; learned before the last step.
  std::optional<double> forgetting_max_last;    ///< R[T, j] − the least R[i, j], i < T; learned before the last step.
  std::optional<double> retention;    ///< (R[j−1, j] − R[T, j]) / (R[j−1, j] − R[j, j]), 1 = all kept.
  std::optional<double> router_leak;  ///< ScoreMatrix::leak, where learned before the last step.
};

/// A figure by its name in docs/metrics.md; `value` is absent where R lacks one of the losses that it needs, or has no
/// task that it is about.
struct MatrixFigure {
  std::string name, unit, reading;  ///< `reading` says what its sign or size means.
  std::optional<double> value;
};

/// By column. Tasks that no step trained on have only `last`.
std::vector<TaskFigures> task_figures(const ScoreMatrix& matrix);

/// Means of the above over the learned tasks that the figure is about: average, learning accuracy, backward transfer,
/// forward transfer, forgetting first-last, forgetting max-last, retention, router leak, routing divergence.
std::vector<MatrixFigure> matrix_figures(const ScoreMatrix& matrix);

}  // namespace mformer
