#include "cli/routing_picture.h"

#include "cli/describe.h"
#include "cli/terminal/heatmap.h"

namespace mformer::cli {
namespace {

using nlohmann::ordered_json;

/// Slots of each (layer, kind), all its modules together.
std::map<std::pair<int, Kind>, double> totals_of(const std::vector<RoutingStat>& stats) {
  std::map<std::pair<int, Kind>, double> totals;
  for (const RoutingStat& stat : stats) totals[{stat.layer, stat.kind}] += static_cast<double>(stat.slots);
  return totals;
}

double part_of(double some, double all) {
  return all > 0 ? some / all : 0.0;
}

/// The nth extension's mark: a, b, … z, then * for all others.
char mark_of(std::size_t extension) {
  return extension < 26 ? static_cast<char>('a' + extension) : '*';
}

}  // namespace

RoutingPicture::RoutingPicture(const Registry& registry, const std::string& version) {
  std::map<std::string, char> marks;
  std::map<std::pair<int, Kind>, std::int64_t> next_index;
  for (const ModuleRecord& module : registry.modules(version)) {
    Place place{next_index[{module.layer, module.kind}]++, birth_name(module), ' '};
    if (module.born_command == "extend") {
      place.mark = marks.try_emplace(place.birth, mark_of(marks.size())).first->second;
      births_by_mark_[place.mark] = place.mark == '*' ? "later extensions" : place.birth;
    }
    places_.emplace(module.uid, place);
  }
}

std::string RoutingPicture::draw(const std::string& task, const std::vector<RoutingStat>& stats,
                                 const terminal::Style& style) const {
  return draw_kind(Kind::att, task + ": attention modules", stats, style) +
         draw_kind(Kind::mlp, task + ": feed-forward modules", stats, style);
}

std::string RoutingPicture::draw_kind(Kind kind, const std::string& title, const std::vector<RoutingStat>& stats,
                                      const terminal::Style& style) const {
  const auto totals = totals_of(stats);
  std::map<int, std::vector<double>> layers;
  std::string marks;
  for (const RoutingStat& stat : stats) {
    if (stat.kind != kind) continue;
    std::vector<double>& row = layers[stat.layer];
    const char mark = places_.at(stat.module_uid).mark;
    if (marks.size() <= row.size()) marks.resize(row.size() + 1, ' ');
    if (mark != ' ') marks[row.size()] = mark;
    row.push_back(part_of(static_cast<double>(stat.slots), totals.at({stat.layer, stat.kind})));
  }
  terminal::Heatmap map;
  map.title = title;
  map.row_name = "layer";
  map.as_percent = true;
  map.marks = marks;
  for (const auto& [mark, birth] : births_by_mark_) {
    map.marks_meaning += (map.marks_meaning.empty() ? "" : ", ") + std::string(1, mark) + " born by " + birth;
  }
  for (const auto& [layer, values] : layers) map.rows.push_back({std::to_string(layer), values});
  return draw_heatmap(map, style);
}

ordered_json RoutingPicture::modules_json(const std::vector<RoutingStat>& stats) const {
  const auto totals = totals_of(stats);
  ordered_json rows = ordered_json::array();
  for (const RoutingStat& stat : stats) {
    const Place& place = places_.at(stat.module_uid);
    const double slots = static_cast<double>(stat.slots);
    rows.push_back({{"layer", stat.layer},
                    {"kind", to_string(stat.kind)},
                    {"index", place.index},
                    {"uid", stat.module_uid},
                    {"born", place.birth},
                    {"slots", stat.slots},
                    {"share", part_of(slots, totals.at({stat.layer, stat.kind}))},
                    {"mean_gate", part_of(stat.gate_mass, static_cast<double>(stat.tokens))},
                    {"mean_weighted_output_norm", part_of(stat.weighted_output_norm, slots)}});
  }
  return rows;
}

}  // namespace mformer::cli
