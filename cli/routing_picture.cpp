#include "cli/routing_picture.h"

#include "cli/describe.h"
#include "cli/terminal/heatmap.h"

namespace mformer::cli {
namespace {

using nlohmann::ordered_json;

double slots_of(const RoutingStat& stat) {
  return static_cast<double>(stat.slots);
}

/// What each (layer, kind) has of something, all its modules together.
template <typename Amount>
std::map<std::pair<int, Kind>, double> totals_of(const std::vector<RoutingStat>& stats, const Amount& amount) {
  std::map<std::pair<int, Kind>, double> totals;
  for (const RoutingStat& stat : stats) totals[{stat.layer, stat.kind}] += amount(stat);
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

RoutingPicture::RoutingPicture(const Registry& registry, const std::string& version, const Model& model) {
  for (std::size_t layer = 0; layer < model.blocks.size(); ++layer) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      if (!model.blocks[layer].bank(kind).routed) all_taken_.insert({static_cast<int>(layer), kind});
      ++banks_;
    }
  }
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

double RoutingPicture::weight_of(const RoutingStat& stat) const {
  return all_taken_.count({stat.layer, stat.kind}) != 0 ? stat.weighted_output_norm : slots_of(stat);
}

std::string RoutingPicture::draw_kind(Kind kind, const std::string& title, const std::vector<RoutingStat>& stats,
                                      const terminal::Style& style) const {
  const auto weight = [this](const RoutingStat& stat) { return weight_of(stat); };
  const auto totals = totals_of(stats, weight);
  std::map<int, std::vector<double>> layers;
  std::string marks;
  bool all_taken = false;
  for (const RoutingStat& stat : stats) {
    if (stat.kind != kind) continue;
    std::vector<double>& row = layers[stat.layer];
    const char mark = places_.at(stat.module_uid).mark;
    if (marks.size() <= row.size()) marks.resize(row.size() + 1, ' ');
    if (mark != ' ') marks[row.size()] = mark;
    row.push_back(part_of(weight(stat), totals.at({stat.layer, stat.kind})));
    all_taken = all_taken || all_taken_.count({stat.layer, stat.kind}) != 0;
  }
  terminal::Heatmap map;
  map.title = title + (all_taken ? " (all are taken: share of the norms of what they put out)" : "");
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
  const auto totals = totals_of(stats, slots_of);
  ordered_json rows = ordered_json::array();
  for (const RoutingStat& stat : stats) {
    const Place& place = places_.at(stat.module_uid);
    const double slots = slots_of(stat);
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
