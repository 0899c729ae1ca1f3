#include <algorithm>
#include <cmath>

#include "cli/describe.h"
#include "cli/plot/heat_map.h"
#include "cli/plot/pictures.h"
#include "cli/routing_cells.h"
#include "cli/terminal/format.h"
#include "modules_registry/error.h"

namespace mformer::cli {
namespace {

constexpr std::size_t most_maps = 40;

HeatMap map_of(const RoutingOfTask& one, Kind kind, bool change, double most) {
  HeatMap map;
  map.title = routing_title(one.task, kind) + meaning_of_shares(one.banks, kind);
  map.row_name = "layer";
  map.cell_width = map.cell_height = 18;
  for (const RoutingBank& bank : one.banks) {
    if (bank.kind != kind) continue;
    map.rows.push_back(std::to_string(bank.layer));
    std::vector<HeatCell>& row = map.cells.emplace_back();
    for (const RoutingCell& cell : bank.cells) {
      const double value = change ? cell.change() : cell.share.value_or(0);
      row.push_back({most > 0 ? value / most : 0.0, cell.mark == ' ' ? "" : std::string(1, cell.mark)});
    }
  }
  return map;
}

PlotPicture draw_routing_maps(const PlotHead& head, const std::vector<RoutingOfTask>& tasks, bool change,
                              const std::string& meanings, bool dark) {
  double most = 0;
  for (const RoutingOfTask& one : tasks) {
    for (const RoutingBank& bank : one.banks) {
      for (const RoutingCell& cell : bank.cells) {
        most = std::max(most, std::abs(change ? cell.change() : cell.share.value_or(0)));
      }
    }
  }
  if (tasks.size() * 2 > most_maps) {
    throw UsageError("the routing of " + std::to_string(tasks.size()) + " tasks is too much for one picture",
                     "name at most " + std::to_string(most_maps / 2) + ": --task NAME --task NAME");
  }
  std::vector<HeatMap> maps;
  for (const RoutingOfTask& one : tasks) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      HeatMap map = map_of(one, kind, change, most);
      if (!map.rows.empty()) maps.push_back(std::move(map));
    }
  }
  const std::string largest = terminal::format_percent(most);
  HeatScale scale{
      .caption = change ? "Change of a module's share of its layer's work" : "Share of the layer's top-k slots",
      .none = "0 %",
      .most = change ? "+" + largest + " more" : largest};
  if (change) scale.least = "-" + largest + " less";
  scale.meanings = meanings;
  std::string description = head.notes.front() + " The strongest colour stands for " + largest + ".";
  for (const HeatMap& map : maps) description += " " + map.title + ", " + std::to_string(map.rows.size()) + " layers.";
  return draw_heat_maps(head, maps, scale, description, dark);
}

std::vector<std::string> tasks_to_draw(const Registry& registry, const std::vector<std::string>& asked) {
  for (const std::string& name : asked) registry.task(name);  // an unknown task names its neighbours
  if (!asked.empty()) return asked;
  std::vector<std::string> all;
  for (const TaskRecord& task : registry.tasks()) all.push_back(task.name);
  return all;
}

Error no_routing(const VersionRecord& version, const std::string& task) {
  return Error(
      "the registry has no routing of " + version_name(version) + (task.empty() ? "" : " for task '" + task + "'"),
      "mformer inspect routing --model " + to_string(version) + " measures and keeps it");
}

}  // namespace

PlotPicture plot_routing(const Registry& registry, const VersionRecord& version, const std::vector<std::string>& tasks,
                         bool dark) {
  const ModulePlaces places(registry, version.hash);
  std::vector<RoutingOfTask> drawn;
  for (const std::string& task : tasks_to_draw(registry, tasks)) {
    const std::vector<RoutingStat> stats = registry.routing_stats(version.hash, task);
    if (stats.empty() && !tasks.empty()) throw no_routing(version, task);
    if (!stats.empty()) drawn.push_back({task, routing_banks(places, stats)});
  }
  if (drawn.empty()) throw no_routing(version, "");
  const PlotHead head{"Routing of " + version_name(version),
                      {"Which modules do each task's work, held-out text. Rows are layers, columns modules."}};
  return draw_routing_maps(head, drawn, false, places.marks_meaning(), dark);
}

PlotPicture plot_routing_change(const Registry& registry, const VersionRecord& before, const VersionRecord& after,
                                const std::vector<std::string>& tasks, bool dark) {
  const ModulePlaces places_before(registry, before.hash), places_after(registry, after.hash);
  std::vector<RoutingOfTask> drawn;
  bool any_before = false;
  for (const std::string& task : tasks_to_draw(registry, tasks)) {
    const auto stats_before = registry.routing_stats(before.hash, task);
    const auto stats_after = registry.routing_stats(after.hash, task);
    any_before = any_before || !stats_before.empty();
    const bool known = !stats_before.empty() && !stats_after.empty();
    if (!known && !tasks.empty()) throw no_routing(stats_before.empty() ? before : after, task);
    if (known) drawn.push_back({task, routing_banks(places_before, stats_before, places_after, stats_after)});
  }
  if (drawn.empty()) throw no_routing(any_before ? after : before, "");
  const PlotHead head{"Change of routing from " + version_name(before) + " to " + version_name(after),
                      {"Which modules do more or less of each task's work, held-out text.",
                       "Rows are layers; a column is one module in both versions."}};
  return draw_routing_maps(head, drawn, true, "+ new, x gone", dark);
}

}  // namespace mformer::cli
