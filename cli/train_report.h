#pragma once

#include "cli/terminal/report.h"
#include "core/workflows/train.h"

namespace mformer::cli {

/// What every command that trains says of it: the new version, held-out losses before and after, what was trained, its
/// bytes and speed. `weight_bytes` are those of the whole model in memory. A report without a version is a dry run's.
void report_training(terminal::Report& report, const TrainReport& result, std::int64_t weight_bytes);

/// After − before; nothing where one of them is not known.
std::optional<double> change_of(const TaskChange& task);

/// An array with a task's losses before and after, their difference and the tokens they are means of; null = unknown.
nlohmann::ordered_json tasks_json(const std::vector<TaskChange>& tasks);

/// The same as a table.
std::string tasks_table(const std::vector<TaskChange>& tasks, const terminal::Style& style);

/// Trained weights by what they are, and in all.
nlohmann::ordered_json to_json(const TrainableCount& trainable);

/// Losses, tokens and speed of a training.
nlohmann::ordered_json to_json(const TrainResult& training);

}  // namespace mformer::cli
