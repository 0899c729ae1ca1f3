#include "cli/train_report.h"

#include <algorithm>
#include <cmath>

#include "cli/describe.h"
#include "cli/made.h"
#include "cli/memory_report.h"
#include "cli/terminal/format.h"
#include "cli/terminal/table.h"
#include "core/device/device.h"

namespace mformer::cli {
namespace {

using nlohmann::ordered_json;
using terminal::format_bytes;
using terminal::format_count;
using terminal::format_fixed;
using terminal::format_signed;

void trainable_text(std::ostream& text, const TrainableCount& trainable) {
  text << format_count(trainable.total()) << " parameters";
  const char* separator = " (";
  const auto part = [&](std::int64_t weights, const char* name) {
    if (weights == 0) return;
    text << separator << format_count(weights) << ' ' << name;
    separator = ", ";
  };
  part(trainable.trunk, "trunk");
  part(trainable.router, "routers");
  part(trainable.att_modules, "attention modules");
  part(trainable.mlp_modules, "feed-forward modules");
  part(trainable.module_rows, "router rows");
  text << (separator[0] == ',' ? ")\n" : "\n");
}

void training_text(std::ostream& text, const TrainReport& result) {
  const TrainResult& training = result.training;
  text << "trained   ";
  trainable_text(text, result.trainable);
  text << "loss      ";
  if (std::isnan(training.loss)) {
    text << "unknown: the last steps saw prompts alone";
  } else {
    text << format_fixed(training.loss) << " nats per token at the end";
  }
  if (training.validation_loss) text << ", " << format_fixed(*training.validation_loss) << " on validation text";
  if (training.best_step) text << " at step " << *training.best_step << ", whose weights were kept";
  if (training.steps < training.asked_steps) {
    text << "\nstopped   after step " << training.steps << " of " << training.asked_steps
         << ": validations became no lower";
  }
  text << "\nspeed     " << terminal::format_rate(training.tokens_per_second, "tokens") << ", "
       << terminal::format_duration(training.seconds);
  if (training.first_step > 0) text << ", continued after step " << training.first_step;
  if (training.processes > 1) {
    text << "\nprocesses " << training.processes << ", each sent "
         << format_bytes(static_cast<std::uint64_t>(training.sent_bytes_per_step)) << " a step: gradients of "
         << format_count(result.trainable.total()) << " weights";
  }
  text << "\nbytes     " << format_bytes(static_cast<std::uint64_t>(result.added_bytes)) << " stored, "
       << format_bytes(static_cast<std::uint64_t>(result.optimizer_bytes)) << " of optimizer state in memory\n";
  if (const std::optional<std::int64_t> peak = peak_of(result.memory.device)) {
    text << "peak      " << format_bytes(static_cast<std::uint64_t>(*peak)) << " held at once on "
         << result.memory.device << '\n';
  }
  text << "metrics   " << result.run_folder << "/metrics.jsonl\n";
}

}  // namespace

std::optional<double> change_of(const TaskChange& task) {
  if (!task.before.has_value() || !task.after.has_value()) return std::nullopt;
  return *task.after - *task.before;
}

std::string tasks_table(const std::vector<TaskChange>& tasks, const terminal::Style& style) {
  const auto fixed = [](const std::optional<double>& value) { return value ? format_fixed(*value) : "-"; };
  const bool bounded = std::any_of(tasks.begin(), tasks.end(), [](const TaskChange& task) { return task.bound; });
  std::vector<terminal::Column> columns = {{"task"}, {"loss before"}, {"after"}, {"change"}, {"tokens"}};
  if (bounded) columns.insert(columns.begin() + 4, {"at most"});
  terminal::Table table(columns);
  for (const TaskChange& task : tasks) {
    const std::optional<double> change = change_of(task);
    std::vector<std::string> row = {task.task, fixed(task.before), fixed(task.after),
                                    change ? format_signed(*change) : "-", format_count(task.tokens)};
    if (bounded) row.insert(row.begin() + 4, task.bound ? terminal::format_at_most(*task.bound) : "-");
    table.add_row(row);
  }
  return table.str(style);
}

ordered_json tasks_json(const std::vector<TaskChange>& tasks) {
  ordered_json rows = ordered_json::array();
  for (const TaskChange& task : tasks) {
    rows.push_back({{"task", task.task},
                    {"before", number_or_null(task.before)},
                    {"after", number_or_null(task.after)},
                    {"change", number_or_null(change_of(task))},
                    {"bound", number_or_null(task.bound)},
                    {"tokens", task.tokens}});
  }
  return rows;
}

nlohmann::ordered_json to_json(const TrainableCount& trainable) {
  return {{"trunk", trainable.trunk},
          {"routers", trainable.router},
          {"att_modules", trainable.att_modules},
          {"mlp_modules", trainable.mlp_modules},
          {"router_rows", trainable.module_rows},
          {"total", trainable.total()}};
}

nlohmann::ordered_json to_json(const TrainResult& training) {
  const auto best = training.best_step ? ordered_json(*training.best_step) : ordered_json();
  return {{"first_step", training.first_step},
          {"steps", training.steps},
          {"stopped_early", training.steps < training.asked_steps},
          {"best_step", best},
          {"loss", training.loss},
          {"validation_loss", number_or_null(training.validation_loss)},
          {"tokens", training.tokens},
          {"seconds", training.seconds},
          {"tokens_per_second", training.tokens_per_second},
          {"processes", training.processes},
          {"sent_bytes_per_step", training.sent_bytes_per_step}};
}

void report_training(terminal::Report& report, const TrainReport& result, std::int64_t weight_bytes) {
  ordered_json& data = report.data();
  data["dry_run"] = !result.version.has_value();
  data["trainable_parameters"] = to_json(result.trainable);
  data["weight_bytes"] = weight_bytes;
  data["optimizer_bytes"] = result.optimizer_bytes;
  data["memory"] = to_json(result.memory);
  if (!result.version.has_value()) {
    report.text() << "would train ";
    trainable_text(report.text(), result.trainable);
    report_memory(report, result.memory);
    return;
  }
  fill_made(data, *result.version, result.kept_beside);
  data["tasks"] = tasks_json(result.tasks);
  data["training"] = to_json(result.training);
  data["added_bytes"] = result.added_bytes;
  data["run_folder"] = result.run_folder;
  report.text() << "made " << to_string(*result.version)
                << (result.kept_beside ? ", a model of its own: another command moved the model meanwhile\n\n" : "\n\n")
                << tasks_table(result.tasks, report.style())
                << "losses on held-out text, in nats per token: less is better; - = the task has no such text\n\n";
  training_text(report.text(), result);
}

}  // namespace mformer::cli
