#include "cli/matrix_report.h"

#include <sstream>

#include "cli/describe.h"
#include "cli/terminal/format.h"
#include "cli/terminal/table.h"
#include "modules_registry/files.h"

namespace mformer::cli {
namespace {

using namespace terminal;
using nlohmann::ordered_json;
using Value = std::optional<double>;

/// The figures by task, in the order of their columns.
struct ByTask {
  const char* name;
  Value TaskFigures::*value;
  bool share = false;
};
constexpr ByTask kByTask[] = {{"learned", &TaskFigures::after_learning},
                              {"last", &TaskFigures::last},
                              {"forward transfer", &TaskFigures::forward_transfer},
                              {"forgetting first-last", &TaskFigures::forgetting_first_last},
                              {"forgetting max-last", &TaskFigures::forgetting_max_last},
                              {"retention", &TaskFigures::retention, true},
                              {"router leak", &TaskFigures::router_leak, true}};

ordered_json number_or_null(const Value& value) {
  return value ? ordered_json(*value) : ordered_json();
}

ordered_json numbers(const std::vector<Value>& values) {
  ordered_json row = ordered_json::array();
  for (const Value& value : values) row.push_back(number_or_null(value));
  return row;
}

/// "forgetting first-last" as a JSON field: "forgetting_first_last".
std::string field(std::string name) {
  for (char& c : name) c = c == ' ' || c == '-' ? '_' : c;
  return name;
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text.empty() ? "-" : text;
}

void fill_data(ordered_json& data, const ScoreMatrix& matrix) {
  const VersionRecord& last = matrix.steps.back().version;
  data["model"] = to_string(last);
  data["hash"] = last.hash;
  data["model_version"] = version_json(last);
  data["initial"] = nullptr;
  if (matrix.initial)
    data["initial"] = {{"version", version_json(*matrix.initial)}, {"losses", numbers(matrix.initial_losses)}};
  auto& tasks = data["tasks"] = ordered_json::array();
  const auto figures = task_figures(matrix);
  for (std::size_t j = 0; j < matrix.tasks.size(); ++j) {
    const auto& learned = matrix.tasks[j].learned;
    ordered_json row = {{"task", matrix.tasks[j].name},
                        {"learned_in_step", learned ? ordered_json(*learned + 1) : ordered_json()}};
    for (const ByTask& figure : kByTask) row[field(figure.name)] = number_or_null(figures[j].*figure.value);
    tasks.push_back(std::move(row));
  }
  auto& steps = data["steps"] = ordered_json::array();
  for (std::size_t i = 0; i < matrix.steps.size(); ++i) {
    steps.push_back({{"step", i + 1},
                     {"version", version_json(matrix.steps[i].version)},
                     {"command", matrix.steps[i].command},
                     {"trained_on", matrix.steps[i].tasks},
                     {"losses", numbers(matrix.losses[i])}});
  }
  auto& means = data["figures"] = ordered_json::object();
  for (const MatrixFigure& figure : matrix_figures(matrix)) means[field(figure.name)] = number_or_null(figure.value);
}

std::string value_text(const Value& value, bool share, bool with_sign) {
  if (!value) return "-";
  if (share) return format_percent(*value);
  return with_sign ? format_signed(*value) : format_fixed(*value);
}

std::string losses_table(const ScoreMatrix& matrix, const Style& style) {
  std::vector<Column> columns = {
      {"step"}, {"version", Align::left}, {"command", Align::left}, {"trained on", Align::left}};
  for (const MatrixTask& task : matrix.tasks) columns.push_back({task.name, Align::right});
  Table table(columns);
  const auto add = [&](std::vector<std::string> cells, const std::vector<Value>& losses) {
    for (const Value& loss : losses) cells.push_back(value_text(loss, false, false));
    table.add_row(std::move(cells));
  };
  if (matrix.initial) {
    add({"0", to_string(*matrix.initial), "", "before the first step"}, matrix.initial_losses);
    table.add_rule();
  }
  for (std::size_t i = 0; i < matrix.steps.size(); ++i) {
    const MatrixStep& step = matrix.steps[i];
    add({std::to_string(i + 1), to_string(step.version), step.command, joined(step.tasks)}, matrix.losses[i]);
  }
  return table.str(style);
}

std::string tasks_table(const ScoreMatrix& matrix, const Style& style) {
  std::vector<Column> columns = {{"task", Align::left}, {"step"}};
  for (const ByTask& figure : kByTask) columns.push_back({figure.name, Align::right});
  Table table(columns);
  const auto figures = task_figures(matrix);
  for (std::size_t j = 0; j < matrix.tasks.size(); ++j) {
    const MatrixTask& task = matrix.tasks[j];
    std::vector<std::string> cells = {task.name, task.learned ? std::to_string(*task.learned + 1) : "-"};
    for (std::size_t f = 0; f < std::size(kByTask); ++f)
      cells.push_back(value_text(figures[j].*kByTask[f].value, kByTask[f].share, f > 1));
    table.add_row(std::move(cells));
  }
  return table.str(style);
}

std::string figures_table(const ScoreMatrix& matrix, const Style& style) {
  Table table({{"figure", Align::left}, {"value", Align::right}, {"", Align::left}, {"reading", Align::left}});
  for (const MatrixFigure& figure : matrix_figures(matrix)) {
    const bool share = figure.unit == "share", difference = figure.reading.find("+ ") != std::string::npos;
    table.add_row({figure.name, value_text(figure.value, share, difference), share ? "" : figure.unit, figure.reading});
  }
  return table.str(style);
}

}  // namespace

void report_matrix(Report& report, const ScoreMatrix& matrix) {
  fill_data(report.data(), matrix);
  report.text() << "R: loss on held-out text after each step, nats per token: less is better; - = not measured\n\n"
                << losses_table(matrix, report.style()) << '\n'
                << tasks_table(matrix, report.style()) << '\n'
                << figures_table(matrix, report.style()) << "means over the tasks that some step trained on\n";
}

void write_matrix_csv(const std::filesystem::path& file, const ScoreMatrix& matrix) {
  std::ostringstream out;
  out.precision(17);
  out << matrix_csv_header << '\n';
  const auto line = [&](const std::string& figure, const std::string& step, const std::string& version,
                        const std::string& task, const Value& value) {
    if (value) out << figure << ',' << step << ',' << version << ',' << task << ',' << *value << '\n';
  };
  const auto row = [&](std::size_t step, const VersionRecord& version, const std::vector<Value>& losses) {
    for (std::size_t j = 0; j < losses.size(); ++j)
      line("loss", std::to_string(step), to_string(version), matrix.tasks[j].name, losses[j]);
  };
  if (matrix.initial) row(0, *matrix.initial, matrix.initial_losses);
  for (std::size_t i = 0; i < matrix.steps.size(); ++i) row(i + 1, matrix.steps[i].version, matrix.losses[i]);
  const auto figures = task_figures(matrix);
  for (std::size_t j = 0; j < figures.size(); ++j) {
    for (const ByTask& figure : kByTask) line(figure.name, "", "", matrix.tasks[j].name, figures[j].*figure.value);
  }
  for (const MatrixFigure& figure : matrix_figures(matrix)) line(figure.name, "", "", "", figure.value);
  write_file_atomically(file, as_bytes(out.str()));
}

}  // namespace mformer::cli
