#include "cli/diff_report.h"

#include <algorithm>

#include "cli/describe.h"
#include "cli/terminal/format.h"
#include "cli/terminal/table.h"
#include "cli/terminal/text.h"

namespace mformer::cli {
namespace {

using namespace terminal;
using nlohmann::ordered_json;

std::string what_changed(const ModuleChange& change) {
  if (change.added()) return "added";
  if (change.removed()) return "removed";
  std::string text = change.weights ? "retrained" : "";
  if (change.frozen) text += std::string(text.empty() ? "" : ", ") + (change.frozen_after ? "frozen" : "unfrozen");
  return text;
}

ordered_json index_json(std::int64_t index) {
  return index < 0 ? ordered_json() : ordered_json(index);
}

ordered_json modules_json(const VersionDiff& diff) {
  ordered_json rows = ordered_json::array();
  for (const ModuleChange& change : diff.modules) {
    rows.push_back({{"uid", change.uid},
                    {"layer", change.layer},
                    {"kind", to_string(change.kind)},
                    {"index_before", index_json(change.index_before)},
                    {"index_after", index_json(change.index_after)},
                    {"change", what_changed(change)}});
  }
  return rows;
}

ordered_json config_json(const VersionDiff& diff) {
  ordered_json rows = ordered_json::array();
  const auto value = [](const std::string& text) { return text.empty() ? ordered_json() : ordered_json::parse(text); };
  for (const ConfigChange& change : diff.config) {
    rows.push_back({{"field", change.field}, {"before", value(change.before)}, {"after", value(change.after)}});
  }
  return rows;
}

std::string modules_table(const VersionDiff& diff, const Style& style) {
  const auto index = [](std::int64_t i) { return i < 0 ? std::string("-") : std::to_string(i); };
  Table table({{"layer"}, {"kind"}, {"index before"}, {"after"}, {"uid", Align::left}, {"change"}});
  for (const ModuleChange& change : diff.modules) {
    table.add_row({std::to_string(change.layer), std::string(to_string(change.kind)), index(change.index_before),
                   index(change.index_after), change.uid, what_changed(change)});
  }
  return table.str(style);
}

/// The first of many names, and how many more there are: JSON has all.
std::string list(const std::vector<std::string>& names) {
  constexpr std::size_t shown = 8;
  std::string text;
  for (std::size_t i = 0; i < std::min(shown, names.size()); ++i) text += (text.empty() ? "" : ", ") + names[i];
  if (names.size() > shown) text += " and " + std::to_string(names.size() - shown) + " more";
  return text.empty() ? "the same" : text;
}

/// Routers in which only rows came or went are named apart: what both versions have is the same in them.
std::string routers_text(const VersionDiff& diff) {
  std::string text = list(diff.old_routers);
  const std::size_t rows = diff.routers.size() - diff.old_routers.size();
  if (rows > 0) text += "; in " + std::to_string(rows) + " only rows came or went, with their modules";
  return text;
}

void write_text(Report& report, const VersionDiff& diff) {
  std::ostream& text = report.text();
  if (diff.same()) {
    text << "the same in everything\n";
    return;
  }
  for (const ConfigChange& change : diff.config) {
    text << "config    " << change.field << ": " << printable(change.before.empty() ? "-" : change.before) << " -> "
         << printable(change.after.empty() ? "-" : change.after) << '\n';
  }
  if (diff.tokenizer) text << "tokenizer another one\n";
  const ModuleCounts counts = count_changes(diff);
  text << "trunk     " << list(diff.trunk);
  if (!diff.trunk.empty()) text << "; " << diff.same_trunk << " parts are the same";
  text << '\n';
  if (!diff.domains.empty()) text << "private   " << private_parts_text(diff.domains) << '\n';
  text << "routers   " << routers_text(diff) << "\nmodules   " << counts.added << " added, " << counts.removed
       << " removed, " << counts.retrained << " retrained, " << counts.frozen << " frozen, " << counts.unfrozen
       << " unfrozen; " << diff.same_modules << " have the same weights in both\n";
  if (diff.nothing_old_changed()) text << "nothing old changed: all that the first has is in the second, bit for bit\n";
  if (!diff.modules.empty()) text << '\n' << modules_table(diff, report.style());
}

}  // namespace

void report_diff(Report& report, const VersionRecord& before, const VersionRecord& after, const VersionDiff& diff) {
  const ModuleCounts counts = count_changes(diff);
  report.data() = {{"before", version_json(before)},
                   {"after", version_json(after)},
                   {"same", diff.same()},
                   {"config", config_json(diff)},
                   {"tokenizer_changed", diff.tokenizer},
                   {"trunk", diff.trunk},
                   {"routers", diff.routers},
                   {"old_routers", diff.old_routers},
                   {"private_parts", private_parts_json(diff.domains)},
                   {"nothing_old_changed", diff.nothing_old_changed()},
                   {"added", counts.added},
                   {"removed", counts.removed},
                   {"retrained", counts.retrained},
                   {"frozen", counts.frozen},
                   {"unfrozen", counts.unfrozen},
                   {"same_modules", diff.same_modules},
                   {"modules", modules_json(diff)}};
  report.text() << to_string(before) << " -> " << to_string(after) << '\n';
  write_text(report, diff);
}

}  // namespace mformer::cli
