#include "cli/routing_picture.h"

#include "cli/terminal/heatmap.h"
#include "core/workspace/module_share.h"

namespace mformer::cli {
namespace {

using nlohmann::ordered_json;

std::string draw_kind(Kind kind, const std::string& task, const std::vector<RoutingBank>& banks,
                      const std::string& meaning, const terminal::Style& style) {
  terminal::Heatmap map;
  map.title = routing_title(task, kind) + meaning_of_shares(banks, kind);
  map.row_name = "layer";
  map.as_percent = true;
  map.marks_meaning = meaning;
  for (const RoutingBank& bank : banks) {
    if (bank.kind != kind) continue;
    terminal::HeatmapRow row{std::to_string(bank.layer), {}, {}};
    for (const RoutingCell& cell : bank.cells) {
      map.two_sided = map.two_sided || cell.is_compared();
      row.values.push_back(cell.is_compared() ? cell.change() : cell.share.value_or(0));
      row.marks += cell.mark;
    }
    map.rows.push_back(std::move(row));
  }
  return draw_heatmap(map, style);
}

double part_of(double some, double all) {
  return all > 0 ? some / all : 0.0;
}

}  // namespace

std::string draw_routing(const std::string& task, const std::vector<RoutingBank>& banks, const std::string& marks,
                         const terminal::Style& style) {
  return draw_kind(Kind::att, task, banks, marks, style) + draw_kind(Kind::mlp, task, banks, marks, style);
}

ordered_json routing_modules_json(const ModulePlaces& places, const std::vector<RoutingStat>& stats) {
  const std::vector<ModuleShare> shares = module_shares(stats);
  ordered_json rows = ordered_json::array();
  for (std::size_t i = 0; i < stats.size(); ++i) {
    const RoutingStat& stat = stats[i];
    const ModulePlace& place = places.at(stat.module_uid);
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
