#include "core/workflows/matrix_figures.h"

#include <algorithm>

namespace mformer {
namespace {

using Value = std::optional<double>;

Value difference(const Value& a, const Value& b) {
  return a && b ? Value(*a - *b) : Value();
}

/// The least loss of a task in any step but the last; absent if one of them is not known.
Value least_before_last(const ScoreMatrix& matrix, std::size_t task) {
  Value least;
  for (std::size_t i = 0; i + 1 < matrix.steps.size(); ++i) {
    const Value& loss = matrix.losses[i][task];
    if (!loss) return std::nullopt;
    least = least ? std::min(*least, *loss) : *loss;
  }
  return least;
}

Value retained(const Value& before, const Value& after, const Value& last) {
  if (!before || !after || !last || *before <= *after) return std::nullopt;  // nothing was gained: nothing to keep
  return (*before - *last) / (*before - *after);
}

TaskFigures figures_of(const ScoreMatrix& matrix, std::size_t task) {
  TaskFigures figures;
  figures.last = matrix.losses.back()[task];
  if (!matrix.tasks[task].learned) return figures;
  const std::size_t learned = *matrix.tasks[task].learned;
  const Value& before = learned == 0 ? matrix.initial_losses[task] : matrix.losses[learned - 1][task];
  figures.after_learning = matrix.losses[learned][task];
  if (learned > 0) figures.forward_transfer = difference(before, matrix.initial_losses[task]);
  if (learned + 1 == matrix.steps.size()) return figures;
  figures.forgetting_first_last = difference(figures.last, figures.after_learning);
  figures.forgetting_max_last = difference(figures.last, least_before_last(matrix, task));
  figures.retention = retained(before, figures.after_learning, figures.last);
  figures.router_leak = matrix.leak[task];
  return figures;
}

/// Which of the learned tasks a figure is about.
enum class About { all, later_than_first, earlier_than_last };

/// A task without held-out text has no column to speak of.
bool has_losses(const ScoreMatrix& matrix, std::size_t task) {
  return std::any_of(matrix.losses.begin(), matrix.losses.end(),
                     [&](const auto& row) { return row[task].has_value(); });
}

bool is_about(const ScoreMatrix& matrix, std::size_t index, About about) {
  const MatrixTask& task = matrix.tasks[index];
  if (!task.learned || !has_losses(matrix, index)) return false;
  if (about == About::later_than_first) return *task.learned > 0;
  return about == About::all || *task.learned + 1 < matrix.steps.size();
}

/// Mean over the tasks that the figure is about; absent if one of them lacks it.
Value mean(const ScoreMatrix& matrix, const std::vector<TaskFigures>& tasks, About about, Value TaskFigures::*figure) {
  double sum = 0;
  std::size_t count = 0;
  for (std::size_t j = 0; j < tasks.size(); ++j) {
    if (!is_about(matrix, j, about)) continue;
    const Value& value = tasks[j].*figure;
    if (!value) return std::nullopt;
    sum += *value;
    ++count;
  }
  return count > 0 ? Value(sum / static_cast<double>(count)) : Value();
}

}  // namespace

std::vector<TaskFigures> task_figures(const ScoreMatrix& matrix) {
  std::vector<TaskFigures> all;
  for (std::size_t j = 0; j < matrix.tasks.size(); ++j) all.push_back(figures_of(matrix, j));
  return all;
}

std::vector<MatrixFigure> matrix_figures(const ScoreMatrix& matrix) {
  const std::vector<TaskFigures> tasks = task_figures(matrix);
  const auto of = [&](About about, Value TaskFigures::*figure) { return mean(matrix, tasks, about, figure); };
  const Value forgotten = of(About::earlier_than_last, &TaskFigures::forgetting_first_last);
  return {
      {"average", "nats", "loss after the last step: less is better", of(About::all, &TaskFigures::last)},
      {"learning accuracy", "nats", "loss right after learning: less is better",
       of(About::all, &TaskFigures::after_learning)},
      {"backward transfer", "nats", "loss since learning: + rose, - fell", forgotten},
      {"forward transfer", "nats", "loss of tasks to come: + rose, - fell",
       of(About::later_than_first, &TaskFigures::forward_transfer)},
      {"forgetting first-last", "nats", "last loss less that after learning: + forgotten", forgotten},
      {"forgetting max-last", "nats", "last loss less the best before: + forgotten",
       of(About::earlier_than_last, &TaskFigures::forgetting_max_last)},
      {"retention", "share", "of what learning gained: 100 % = all kept",
       of(About::earlier_than_last, &TaskFigures::retention)},
      {"router leak", "share", "of old tasks' slots, in later modules: less is better",
       of(About::earlier_than_last, &TaskFigures::router_leak)},
      {"routing divergence", "bits", "between tasks: 0 the same modules, 1 none in common", matrix.routing_divergence}};
}

}  // namespace mformer
