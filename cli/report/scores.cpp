#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "cli/describe.h"
#include "cli/keep_curve_csv.h"
#include "cli/report/facts.h"
#include "core/workflows/matrix_steps.h"
#include "core/workspace/routing_facts.h"
#include "modules_registry/error.h"

namespace mformer::cli {
namespace {

using nlohmann::ordered_json;

constexpr std::size_t kLongestTable = 1 << 20;  // bytes of a keep curve that are looked at
constexpr std::size_t kMostLines = 10'000;

using LossesByLimit = std::map<std::int64_t, std::map<std::pair<std::string, std::string>, double>>;

/// By token limit, then by version and task.
LossesByLimit losses_of(const Registry& registry, const ScoreMatrix& matrix) {
  LossesByLimit losses;
  const auto add = [&](const VersionRecord& version) {
    for (const Score& score : registry.scores(version.hash)) {
      if (score.split != "held_out" || score.metric != "loss") continue;
      losses[score.token_limit][{version.hash, score.task}] = score.value;
    }
  };
  if (matrix.initial) add(*matrix.initial);
  for (const MatrixStep& step : matrix.steps) add(step.version);
  return losses;
}

std::vector<std::optional<double>> row_of(const LossesByLimit::mapped_type& known, const VersionRecord& version,
                                          const std::vector<MatrixTask>& tasks) {
  std::vector<std::optional<double>> row;
  for (const MatrixTask& task : tasks) {
    const auto found = known.find({version.hash, task.name});
    row.push_back(found == known.end() ? std::nullopt : std::optional(found->second));
  }
  return row;
}

void look_at_known_routing(const Registry& registry, ScoreMatrix& matrix) {
  const VersionRecord& last = matrix.steps.back().version;
  for (const MatrixTask& task : matrix.tasks) {
    const auto stats = registry.routing_stats(last.hash, task.name);
    matrix.leak.emplace_back();
    if (!task.learned || stats.empty()) continue;
    const auto later = registry.born_after(matrix.steps[*task.learned].version.hash, last.hash);
    matrix.leak.back() = mean_leak(router_leak(stats, later));
  }
}

ordered_json numbers(const std::vector<std::optional<double>>& row) {
  ordered_json cells = ordered_json::array();
  for (const auto& value : row) cells.push_back(number_or_null(value));
  return cells;
}

ordered_json matrix_facts(const ScoreMatrix& matrix) {
  ordered_json steps = ordered_json::array(), tasks = ordered_json::array(), figures = ordered_json::array();
  if (matrix.initial) {
    steps.push_back({{"ref", version_name(*matrix.initial)},
                     {"command", "before"},
                     {"tasks", ordered_json::array()},
                     {"losses", numbers(matrix.initial_losses)}});
  }
  for (std::size_t i = 0; i < matrix.steps.size(); ++i) {
    const MatrixStep& step = matrix.steps[i];
    steps.push_back({{"ref", version_name(step.version)},
                     {"command", step.command},
                     {"tasks", step.tasks},
                     {"losses", numbers(matrix.losses[i])}});
  }
  const std::size_t offset = matrix.initial ? 1 : 0;
  const std::vector<TaskFigures> by_task = task_figures(matrix);
  for (std::size_t j = 0; j < matrix.tasks.size(); ++j) {
    const MatrixTask& task = matrix.tasks[j];
    tasks.push_back({{"name", task.name},
                     {"learned", task.learned ? ordered_json(*task.learned + offset) : ordered_json()},
                     {"forgetting", number_or_null(by_task[j].forgetting_first_last)},
                     {"retention", number_or_null(by_task[j].retention)},
                     {"leak", number_or_null(by_task[j].router_leak)}});
  }
  for (const MatrixFigure& figure : matrix_figures(matrix)) {
    figures.push_back({{"name", figure.name},
                       {"unit", figure.unit},
                       {"reading", figure.reading},
                       {"value", number_or_null(figure.value)}});
  }
  return {{"steps", steps}, {"tasks", tasks}, {"figures", figures}};
}

std::vector<std::string> hypotheses_of(const Manifest& manifest) {
  std::vector<std::string> names = {"base"};
  const ordered_json config = ordered_json::parse(manifest.config_json, nullptr, /*allow_exceptions=*/false);
  if (!config.is_object() || !config.contains("mformer_domains") || !config["mformer_domains"].is_array()) return names;
  for (const ordered_json& domain : config["mformer_domains"]) {
    names.push_back(domain.is_object() && domain.contains("name") && domain["name"].is_string()
                        ? domain["name"].get<std::string>()
                        : "?");
  }
  return names;
}

}  // namespace

ScoreMatrix known_matrix(const Registry& registry, const VersionRecord& version, std::int64_t& limit) {
  ScoreMatrix matrix;
  try {
    matrix = matrix_without_losses(registry, version, {});
  } catch (const Error&) {
    return {};  // nothing was trained so far
  }
  const LossesByLimit losses = losses_of(registry, matrix);
  const auto most = std::max_element(losses.begin(), losses.end(),
                                     [](const auto& a, const auto& b) { return a.second.size() < b.second.size(); });
  const LossesByLimit::mapped_type known = most == losses.end() ? LossesByLimit::mapped_type{} : most->second;
  limit = most == losses.end() ? 0 : most->first;
  if (matrix.initial) matrix.initial_losses = row_of(known, *matrix.initial, matrix.tasks);
  matrix.initial_losses.resize(matrix.tasks.size());
  for (const MatrixStep& step : matrix.steps) matrix.losses.push_back(row_of(known, step.version, matrix.tasks));
  look_at_known_routing(registry, matrix);
  return matrix;
}

void add_matrix(ordered_json& data, const Registry& registry, const VersionRecord& version) {
  std::int64_t limit = 0;
  const ScoreMatrix matrix = known_matrix(registry, version, limit);
  data["matrix"] = matrix.steps.empty() ? ordered_json() : matrix_facts(matrix);
  data["matrix_tokens"] = limit;
}

void add_posterior(ordered_json& data, const Registry& registry, const VersionGraph& graph) {
  auto& rows = data["posterior"] = ordered_json::array();
  std::map<std::string, std::size_t> places;  // by hash
  for (std::size_t i = 0; i < graph.rows.size(); ++i) places.emplace(graph.rows[i].version.hash, i);
  std::map<std::pair<std::size_t, std::string>, std::map<int, double>> shares;
  for (const Score& score : registry.scores()) {
    const auto place = places.find(score.version);
    if (score.metric == "share" && score.split == "held_out" && place != places.end()) {
      shares[{place->second, score.task}][score.part] = score.value;
    }
  }
  for (const auto& [key, parts] : shares) {
    const std::vector<std::string> names = hypotheses_of(registry.manifest(graph.rows[key.first].version.hash));
    ordered_json of_each = ordered_json::array();
    for (const auto& [part, share] : parts) {
      const auto index = static_cast<std::size_t>(part);
      of_each.push_back({index < names.size() ? names[index] : std::to_string(part), share});
    }
    rows.push_back({{"version", key.first}, {"task", key.second}, {"shares", of_each}});
  }
}

ordered_json keep_curves(const std::string& csv) {
  const auto no_table = [&] {
    return Error("'" + csv + "' is no table of a keep curve", "mformer inspect keep-curve --task NAME --csv FILE");
  };
  std::error_code error;
  if (!std::filesystem::is_regular_file(csv, error)) throw no_table();
  std::string text(kLongestTable, '\0');
  std::ifstream whole(csv, std::ios::binary);
  whole.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(whole.gcount()));
  std::istringstream file(text);
  std::string line;
  if (!std::getline(file, line) || line != keep_curve_csv_header) {
    throw no_table();
  }
  std::vector<std::pair<std::string, ordered_json>> curves;
  for (std::size_t lines = 0; std::getline(file, line) && lines < kMostLines; ++lines) {
    std::vector<std::string> cells;
    std::istringstream parts(line);
    for (std::string cell; std::getline(parts, cell, ',');) cells.push_back(cell);
    if (cells.size() != 10) throw no_table();
    const double keep = std::strtod(cells[4].c_str(), nullptr), loss = std::strtod(cells[9].c_str(), nullptr);
    const std::string name = cells[0] + ", " + cells[3] + (cells[2] == "layer" ? "" : ", " + cells[2]);
    if (!std::isfinite(keep) || !std::isfinite(loss)) continue;
    auto found = std::find_if(curves.begin(), curves.end(), [&](const auto& one) { return one.first == name; });
    if (found == curves.end()) found = curves.insert(found, {name, ordered_json::array()});
    found->second.push_back({keep, loss});
  }
  ordered_json rows = ordered_json::array();
  for (const auto& [name, points] : curves) rows.push_back({{"name", name}, {"points", points}});
  return rows;
}

}  // namespace mformer::cli
