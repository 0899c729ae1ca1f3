#include "cli/routing_report.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "cli/describe.h"
#include "cli/routing_picture.h"
#include "cli/terminal/format.h"
#include "cli/terminal/table.h"

namespace mformer::cli {
namespace {

using namespace terminal;
using nlohmann::ordered_json;

/// A module with its bank.
struct ModuleInRouting {
  const RoutingBank* bank;
  const RoutingCell* cell;
  double weight() const { return std::abs(cell->is_compared() ? cell->change() : cell->share.value_or(0)); }
};

bool is_comparison(const std::vector<RoutingBank>& banks) {
  for (const RoutingBank& bank : banks) {
    for (const RoutingCell& cell : bank.cells) {
      if (cell.is_compared()) return true;
    }
  }
  return false;
}

ordered_json module_json(const ModuleInRouting& one, bool compared) {
  ordered_json row = {{"layer", one.bank->layer},
                      {"kind", to_string(one.bank->kind)},
                      {"index", one.cell->index},
                      {"uid", one.cell->uid},
                      {"born", one.cell->birth}};
  if (compared) row["share_before"] = number_or_null(one.cell->before);
  row["share"] = number_or_null(one.cell->share);
  if (compared) row["change"] = one.cell->change();
  return row;
}

std::string share_text(const std::optional<double>& share) {
  return share ? format_percent(*share) : "-";
}

/// The modules of the largest shares, or changes; of equal ones the first.
void report_top(Report& report, ordered_json& row, const RoutingOfTask& one, std::size_t count) {
  std::vector<ModuleInRouting> all;
  for (const RoutingBank& bank : one.banks) {
    for (const RoutingCell& cell : bank.cells) all.push_back({&bank, &cell});
  }
  std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.weight() > b.weight(); });
  const std::size_t modules = all.size();
  all.resize(std::min(count, modules));
  const bool compared = is_comparison(one.banks);
  std::vector<Column> columns = {{"layer"}, {"kind", Align::left}, {"index"}, {"uid", Align::left}};
  if (compared) columns.push_back({"before"});
  columns.push_back({compared ? "after" : "share"});
  if (compared) columns.push_back({"change"});
  columns.push_back({"born by", Align::left});
  Table table(columns);
  auto& rows = row["top"] = ordered_json::array();
  for (const ModuleInRouting& module : all) {
    rows.push_back(module_json(module, compared));
    const RoutingCell& cell = *module.cell;
    std::vector<std::string> cells = {std::to_string(module.bank->layer), std::string(to_string(module.bank->kind)),
                                      std::to_string(cell.index), cell.uid};
    if (compared) cells.push_back(share_text(cell.before));
    cells.push_back(share_text(cell.share));
    if (compared) cells.push_back(format_percent_change(cell.change()));
    cells.push_back(cell.birth);
    table.add_row(cells);
  }
  report.text() << one.task << ": the " << format_count(static_cast<std::int64_t>(all.size())) << " of "
                << format_counted(static_cast<std::int64_t>(modules), "module")
                << (compared ? " whose share of their layer changed most\n"
                             : " with the largest shares of their layer\n")
                << table.str(report.style());
}

/// Sums over the modules of one birth.
struct BirthSums {
  std::int64_t modules = 0;
  std::map<Kind, double> share, before;
};

/// Shares of a birth's modules, a mean over the layers that have modules of the kind.
void report_births(Report& report, ordered_json& row, const RoutingOfTask& one) {
  std::map<Kind, double> layers;
  std::vector<std::pair<std::string, BirthSums>> births;  // in the order of the modules
  for (const RoutingBank& bank : one.banks) {
    layers[bank.kind] += 1;
    for (const RoutingCell& cell : bank.cells) {
      auto found = std::find_if(births.begin(), births.end(), [&](const auto& b) { return b.first == cell.birth; });
      if (found == births.end()) found = births.insert(found, {cell.birth, {}});
      found->second.modules += cell.share ? 1 : 0;
      found->second.share[bank.kind] += cell.share.value_or(0);
      found->second.before[bank.kind] += cell.before.value_or(0);
    }
  }
  const bool compared = is_comparison(one.banks);
  std::vector<Column> columns = {{"born by", Align::left}, {"modules"}};
  for (const char* kind : {"of attention", "of feed-forward"}) {
    columns.push_back({kind});
    if (compared) columns.push_back({"change"});
  }
  Table table(columns);
  auto& rows = row["births"] = ordered_json::array();
  for (auto& [birth, sums] : births) {
    ordered_json told = {{"born", birth}, {"modules", sums.modules}};
    std::vector<std::string> cells = {birth, format_count(sums.modules)};
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      const double all = std::max(layers[kind], 1.0);
      const double share = sums.share[kind] / all, change = share - sums.before[kind] / all;
      told[std::string(to_string(kind))] = share;
      if (compared) told[std::string(to_string(kind)) + "_change"] = change;
      cells.push_back(layers[kind] > 0 ? format_percent(share) : "-");
      if (compared) cells.push_back(layers[kind] > 0 ? format_percent_change(change) : "-");
    }
    rows.push_back(std::move(told));
    table.add_row(cells);
  }
  report.text() << one.task << ": share of the work by what bore the modules, mean over the layers\n"
                << table.str(report.style());
}

}  // namespace

void report_routing(Report& report, ordered_json& row, const RoutingOfTask& one, const RoutingView& view,
                    const std::string& marks) {
  if (view.top > 0) report_top(report, row, one, view.top);
  if (view.by_birth) report_births(report, row, one);
  if (view.top == 0 && !view.by_birth) report.text() << draw_routing(one.task, one.banks, marks, report.style());
}

ordered_json compared_modules_json(const std::vector<RoutingBank>& banks) {
  ordered_json rows = ordered_json::array();
  for (const RoutingBank& bank : banks) {
    for (const RoutingCell& cell : bank.cells) rows.push_back(module_json({&bank, &cell}, true));
  }
  return rows;
}

}  // namespace mformer::cli
