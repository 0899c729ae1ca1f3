#include <algorithm>
#include <cmath>
#include <map>

#include "cli/describe.h"
#include "cli/loss_curve.h"
#include "cli/operation_report.h"
#include "cli/plot/heat_map.h"
#include "cli/plot/line_chart.h"
#include "cli/plot/pictures.h"
#include "cli/report/facts.h"
#include "cli/terminal/format.h"
#include "modules_registry/error.h"

namespace mformer::cli {
namespace {

constexpr std::size_t most_steps = 60, most_tasks = 40;
constexpr std::size_t most_points = 1000;
constexpr const char* loss_unit = "held-out loss (nats per token)";

/// The rows of the matrix, what came before the first step among them.
struct MatrixRows {
  std::vector<std::string> names, commands;
  std::vector<std::vector<std::string>> tasks;  ///< trained on in the step
  std::vector<std::vector<std::optional<double>>> losses;
  std::vector<std::string> columns;
  std::string tokens;  ///< over how many the losses are
  std::size_t left_out = 0;

  void add(const VersionRecord& version, const std::string& command, const std::vector<std::string>& trained_on,
           const std::vector<std::optional<double>>& row) {
    names.push_back(version_name(version));
    commands.push_back(command);
    tasks.push_back(trained_on);
    losses.push_back(row);
    losses.back().resize(std::min(columns.size(), row.size()));
  }
};

MatrixRows rows_of_matrix(const Registry& registry, const VersionRecord& version) {
  std::int64_t limit = 0;
  const ScoreMatrix matrix = known_matrix(registry, version, limit);
  if (matrix.steps.empty()) {
    throw Error("nothing that led to " + version_name(version) + " was trained on a task",
                "mformer train --data DIR or mformer extend --data DIR trains one");
  }
  MatrixRows rows;
  for (const MatrixTask& task : matrix.tasks) rows.columns.push_back(task.name);
  rows.columns.resize(std::min(rows.columns.size(), most_tasks));
  const std::size_t first = matrix.steps.size() > most_steps ? matrix.steps.size() - most_steps : 0;
  rows.left_out = first;
  if (matrix.initial && first == 0) rows.add(*matrix.initial, "before", {}, matrix.initial_losses);
  for (std::size_t i = first; i < matrix.steps.size(); ++i) {
    rows.add(matrix.steps[i].version, matrix.steps[i].command, matrix.steps[i].tasks, matrix.losses[i]);
  }
  rows.tokens = limit > 0 ? "over at most " + terminal::format_count(limit) + " held-out tokens of each task"
                          : "over all held-out tokens";
  const auto known = [](const auto& row) {
    return std::any_of(row.begin(), row.end(), [](const auto& loss) { return loss && std::isfinite(*loss); });
  };
  if (std::none_of(rows.losses.begin(), rows.losses.end(), known)) {
    throw Error("the registry has no losses of the versions that led to " + version_name(version),
                "mformer eval --matrix --model " + to_string(version) + " measures and keeps them");
  }
  return rows;
}

std::vector<std::string> with_left_out(std::vector<std::string> notes, std::size_t count) {
  if (count > 0)
    notes.push_back(terminal::format_counted(static_cast<std::int64_t>(count), "older step") + " left out.");
  return notes;
}

/// At most so many, evenly spread, the first and the last among them.
std::vector<std::pair<double, double>> thinned(const std::vector<std::pair<double, double>>& points) {
  if (points.size() <= most_points) return points;
  std::vector<std::pair<double, double>> some;
  for (std::size_t i = 0; i < most_points; ++i) some.push_back(points[i * (points.size() - 1) / (most_points - 1)]);
  return some;
}

PlotSeries series_of_run(const OperationRecord& operation, const PastRun& run, std::size_t& not_finite) {
  PlotSeries one{"operation " + std::to_string(operation.id) + ": " + command_text(operation), {}};
  for (const auto& [step, loss] : run.losses) {
    if (std::isfinite(loss))
      one.points.emplace_back(static_cast<double>(step), loss);
    else
      ++not_finite;
  }
  one.points = thinned(one.points);
  return one;
}

}  // namespace

PlotPicture plot_matrix(const Registry& registry, const VersionRecord& version, bool dark) {
  const MatrixRows rows = rows_of_matrix(registry, version);
  std::vector<double> best(rows.columns.size(), INFINITY);
  for (const auto& row : rows.losses) {
    for (std::size_t j = 0; j < row.size(); ++j) best[j] = std::min(best[j], row[j].value_or(INFINITY));
  }
  double most = 0;
  for (const auto& row : rows.losses) {
    for (std::size_t j = 0; j < row.size(); ++j) {
      if (row[j] && std::isfinite(*row[j])) most = std::max(most, *row[j] - best[j]);
    }
  }
  HeatMap map{.title = "", .row_name = "step", .rows = {}, .columns = rows.columns, .cells = {}};
  map.cell_width = 64, map.cell_height = 26;
  for (const std::string& task : rows.columns) {
    map.cell_width = std::max(map.cell_width, std::min(140.0, text_width(task, plot_text) + 12));
  }
  std::string description = "Rows are steps, columns tasks.";
  for (std::size_t i = 0; i < rows.losses.size(); ++i) {
    map.rows.push_back(rows.names[i] + "  " + rows.commands[i]);
    std::vector<HeatCell>& cells = map.cells.emplace_back();
    description += " " + rows.names[i] + ":";
    for (std::size_t j = 0; j < rows.losses[i].size(); ++j) {
      const std::optional<double>& loss = rows.losses[i][j];
      const bool known = loss && std::isfinite(*loss);
      const auto& trained = rows.tasks[i];
      HeatCell cell{std::nullopt, known ? terminal::format_fixed(*loss, 3) : "-"};
      if (known) cell.level = most > 0 ? (*loss - best[j]) / most : 0.0;
      cell.outlined = std::find(trained.begin(), trained.end(), rows.columns[j]) != trained.end();
      description += " " + rows.columns[j] + " " + cell.text;
      cells.push_back(std::move(cell));
    }
    description += ".";
  }
  const HeatScale scale{.caption = "Nats per token above the task's least loss in this picture",
                        .none = "0",
                        .most = terminal::format_fixed(most, 3),
                        .meanings = "Outlined: the step trained on the task. -: not measured (mformer eval --matrix)."};
  const PlotHead head{
      "Task matrix of " + version_name(version),
      with_left_out({"Held-out loss of each task after each step, nats per token; less is better;", rows.tokens + "."},
                    rows.left_out)};
  return draw_heat_maps(head, {map}, scale, description, dark);
}

PlotPicture plot_forgetting(const Registry& registry, const VersionRecord& version, bool dark) {
  const MatrixRows rows = rows_of_matrix(registry, version);
  LineChart chart{
      .head = {"Forgetting curves of " + version_name(version),
               with_left_out({"Held-out loss of each task after each step, " + rows.tokens + "; less is better."},
                             rows.left_out)},
      .x_name = "step",
      .y_name = loss_unit,
      .series = {},
      .places = rows.names};
  for (std::size_t j = 0; j < rows.columns.size(); ++j) {
    PlotSeries one{rows.columns[j], {}};
    for (std::size_t i = 0; i < rows.losses.size(); ++i) {
      const auto& loss = rows.losses[i][j];
      if (loss && std::isfinite(*loss)) one.points.emplace_back(static_cast<double>(i), *loss);
    }
    if (!one.points.empty()) chart.series.push_back(std::move(one));
  }
  return draw_line_chart(chart, dark);
}

PlotPicture plot_keep_curves(const std::vector<std::string>& files, bool dark) {
  LineChart chart{
      .head = {"Keep curves", {"Held-out loss with a share of the modules kept, nothing trained; less is better."}},
      .x_name = "share of the modules kept",
      .y_name = loss_unit,
      .series = {},
      .places = {}};
  for (const std::string& file : files) {
    for (const nlohmann::ordered_json& curve : keep_curves(file)) {
      std::map<double, std::pair<double, int>> sums;  // several seeds become their mean
      for (const auto& point : curve.at("points")) {
        auto& [sum, count] = sums[point[0].get<double>()];
        sum += point[1].get<double>(), ++count;
      }
      PlotSeries one{curve.at("name").get<std::string>(), {}};
      for (const auto& [keep, sum] : sums) one.points.emplace_back(keep, sum.first / sum.second);
      one.points = thinned(one.points);
      chart.series.push_back(std::move(one));
    }
  }
  if (chart.series.empty()) {
    throw Error("the tables have no losses", "mformer inspect keep-curve --task NAME --csv FILE writes such a table");
  }
  return draw_line_chart(chart, dark);
}

PlotPicture plot_training(const Registry& registry, const std::vector<std::int64_t>& operations, bool dark) {
  LineChart chart{.head = {"Training loss", {"Loss of each step, as it was trained on."}},
                  .x_name = "step",
                  .y_name = "loss (nats per token)",
                  .series = {},
                  .places = {}};
  std::size_t not_finite = 0;
  const auto add = [&](const OperationRecord& operation) {
    const auto run = find_run(registry, operation);
    if (!run) return false;
    PlotSeries one = series_of_run(operation, *run, not_finite);
    if (one.points.empty()) return false;
    chart.series.push_back(std::move(one));
    return true;
  };
  for (const std::int64_t id : operations) {
    if (add(registry.operation(id))) continue;
    throw Error("operation " + std::to_string(id) + " trained nothing, or its run's folder is gone",
                "mformer log lists the operations, mformer log " + std::to_string(id) + " tells of this one");
  }
  if (operations.empty()) {
    for (const OperationRecord& operation : registry.operations()) {
      if (add(operation)) break;
    }
  }
  if (chart.series.empty()) {
    throw Error("there is no run to draw: nothing was trained, or the runs' folders are gone",
                "mformer log lists the operations");
  }
  if (not_finite > 0) {
    chart.head.notes.push_back(terminal::format_counted(static_cast<std::int64_t>(not_finite), "step") +
                               " without a finite loss left out.");
  }
  return draw_line_chart(chart, dark);
}

}  // namespace mformer::cli
