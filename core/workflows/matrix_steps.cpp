#include "core/workflows/matrix_steps.h"

#include <algorithm>
#include <utility>

#include "core/history/lineage.h"
#include "core/workspace/routing_facts.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

std::vector<MatrixStep> steps_of(const Registry& registry, const VersionRecord& last, ScoreMatrix& matrix) {
  std::vector<VersionRecord> line = ancestry(registry, last);
  std::reverse(line.begin(), line.end());
  std::vector<MatrixStep> steps;
  for (const VersionRecord& version : line) {
    std::vector<std::string> tasks = tasks_trained_by(registry, version);
    if (tasks.empty() && (steps.empty() || version.hash != last.hash)) continue;
    if (steps.empty() && !version.parent.empty()) matrix.initial = registry.version(version.parent);
    steps.push_back({version, registry.operation(version.operation_id).command, std::move(tasks)});
  }
  if (steps.empty()) {
    throw Error("no version in the lineage of " + to_string(last) + " was trained on a task",
                "train it first: mformer train --data DIR");
  }
  return steps;
}

std::optional<std::size_t> first_step(const std::vector<MatrixStep>& steps, const std::string& task) {
  for (std::size_t i = 0; i < steps.size(); ++i) {
    if (std::find(steps[i].tasks.begin(), steps[i].tasks.end(), task) != steps[i].tasks.end()) return i;
  }
  return std::nullopt;
}

std::vector<MatrixTask> columns(const Registry& registry, const std::vector<MatrixStep>& steps,
                                const std::vector<std::string>& wanted) {
  std::vector<MatrixTask> tasks;
  if (wanted.empty()) {
    for (const TaskRecord& task : registry.tasks()) tasks.push_back({task.name, first_step(steps, task.name)});
  }
  for (const std::string& name : wanted) tasks.push_back({registry.task(name).name, first_step(steps, name)});
  const auto rank = [&](const MatrixTask& task) { return task.learned.value_or(steps.size()); };
  std::stable_sort(tasks.begin(), tasks.end(),
                   [&](const MatrixTask& a, const MatrixTask& b) { return rank(a) < rank(b); });
  return tasks;
}

}  // namespace

ScoreMatrix matrix_without_losses(const Registry& registry, const VersionRecord& version,
                                  const std::vector<std::string>& tasks) {
  ScoreMatrix matrix;
  matrix.steps = steps_of(registry, version, matrix);
  matrix.tasks = columns(registry, matrix.steps, tasks);
  return matrix;
}

}  // namespace mformer
