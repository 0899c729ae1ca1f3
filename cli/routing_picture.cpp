#include "cli/routing_picture.h"

#include "cli/describe.h"
#include "cli/terminal/heatmap.h"
#include "core/workspace/module_share.h"

namespace mformer::cli {
namespace {

using nlohmann::ordered_json;

/// Which rows are no shares of slots, to follow the picture's title; empty where all are.
std::string meaning_of(const std::map<int, bool>& of_norm) {
  std::string layers;
  std::size_t count = 0;
  for (const auto& [layer, is_norm] : of_norm) {
    if (!is_norm) continue;
    layers += (layers.empty() ? "" : ", ") + std::to_string(layer);
    ++count;
  }
  if (count == 0) return "";
  const std::string where = count == of_norm.size() ? "" : (count == 1 ? " in layer " : " in layers ") + layers;
  return "; all are taken" + where + ": share of the output norm";
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
  const std::vector<ModuleShare> shares = module_shares(stats);
  std::map<int, std::vector<double>> layers;
  std::map<int, bool> of_norm;
  std::string marks;
  for (std::size_t i = 0; i < stats.size(); ++i) {
    const RoutingStat& stat = stats[i];
    if (stat.kind != kind) continue;
    of_norm[stat.layer] = shares[i].of_norm;
    std::vector<double>& row = layers[stat.layer];
    const char mark = places_.at(stat.module_uid).mark;
    if (marks.size() <= row.size()) marks.resize(row.size() + 1, ' ');
    if (mark != ' ') marks[row.size()] = mark;
    row.push_back(shares[i].value);
  }
  terminal::Heatmap map;
  map.title = title + meaning_of(of_norm);
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
  const std::vector<ModuleShare> shares = module_shares(stats);
  ordered_json rows = ordered_json::array();
  for (std::size_t i = 0; i < stats.size(); ++i) {
    const RoutingStat& stat = stats[i];
    const Place& place = places_.at(stat.module_uid);
    const double slots = static_cast<double>(stat.slots);
    rows.push_back({{"layer", stat.layer},
                    {"kind", to_string(stat.kind)},
                    {"index", place.index},
                    {"uid", stat.module_uid},
                    {"born", place.birth},
                    {"slots", stat.slots},
                    {"share", shares[i].value},
                    {"share_of", shares[i].of_norm ? "output norm" : "slots"},
                    {"mean_gate", part_of(stat.gate_mass, static_cast<double>(stat.tokens))},
                    {"mean_weighted_output_norm", part_of(stat.weighted_output_norm, slots)}});
  }
  return rows;
}

}  // namespace mformer::cli
