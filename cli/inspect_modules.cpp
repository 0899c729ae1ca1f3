#include <map>

#include "cli/command.h"
#include "cli/commands.h"
#include "cli/computes.h"
#include "cli/describe.h"
#include "cli/terminal/format.h"
#include "cli/terminal/report.h"
#include "cli/terminal/table.h"
#include "cli/workspace.h"
#include "core/workspace/module_share.h"
#include "core/workspace/selector.h"
#include "core/workspace/selector_syntax.h"

namespace mformer::cli {
namespace {

using namespace terminal;
using nlohmann::ordered_json;

/// Share of its bank's work that each module has, for one task.
using Shares = std::map<std::string, double>;

Shares shares_of(const std::vector<RoutingStat>& stats) {
  const std::vector<ModuleShare> each = module_shares(stats);
  Shares shares;
  for (std::size_t i = 0; i < stats.size(); ++i) shares[stats[i].module_uid] = each[i].value;
  return shares;
}

/// Of every task that has statistics on the version.
std::map<std::string, Shares> known_shares(const Registry& registry, const std::string& version) {
  std::map<std::string, Shares> known;
  for (const TaskRecord& task : registry.tasks()) {
    const std::vector<RoutingStat> stats = registry.routing_stats(version, task.name);
    if (!stats.empty()) known.emplace(task.name, shares_of(stats));
  }
  return known;
}

/// The table and its JSON, row by row.
class Listing {
 public:
  Listing(const Registry& registry, const VersionRecord& version)
      : registry_(registry), shares_(known_shares(registry, version.hash)), table_(columns()) {}

  void add(const ManifestModule& module, std::int64_t index) {
    const ModuleRecord record = registry_.module(module.uid);
    const std::int64_t bytes = registry_.objects().size(module.object_hash);
    ordered_json share = ordered_json::object();
    std::vector<std::string> cells = {std::to_string(record.layer),
                                      std::string(to_string(record.kind)),
                                      std::to_string(index),
                                      record.uid,
                                      birth_name(record),
                                      origin_name(record),
                                      module.frozen ? "frozen" : "",
                                      format_bytes(static_cast<std::uint64_t>(bytes))};
    for (const auto& [task, shares] : shares_) {
      share[task] = shares.at(module.uid);
      cells.push_back(format_percent(shares.at(module.uid)));
    }
    table_.add_row(cells);
    rows_.push_back({{"layer", record.layer},
                     {"kind", to_string(record.kind)},
                     {"index", index},
                     {"uid", record.uid},
                     {"born_by", record.born_command},
                     {"born_for", record.born_task},
                     {"copied_from", record.copied_from},
                     {"frozen", module.frozen},
                     {"bytes", bytes},
                     {"object", module.object_hash},
                     {"share", share}});
  }

  const ordered_json& rows() const { return rows_; }
  std::string text(const Style& style) const { return table_.str(style); }

 private:
  std::vector<Column> columns() const {
    std::vector<Column> all = {
        {"layer"},  {"kind"}, {"index"}, {"uid", Align::left}, {"born"}, {"copied from", Align::left},
        {"frozen"}, {"bytes"}};
    for (const auto& [task, shares] : shares_) all.push_back({"share(" + task + ")"});
    return all;
  }

  const Registry& registry_;
  std::map<std::string, Shares> shares_;
  Table table_;
  ordered_json rows_ = ordered_json::array();
};

void run_inspect_modules(const std::string& selector, const GlobalOptions& global) {
  read_selector(selector);  // a typo is told before anything is opened
  Workspace workspace(global, "inspect modules", OpenMode::read_only);
  const Registry& registry = workspace.registry();
  const VersionRecord version = workspace.version();
  const Manifest manifest = registry.manifest(version.hash);
  const ModuleSelection selected = select_modules(registry, version.hash, manifest, selector);
  Listing listing(registry, version);
  for (std::size_t layer = 0; layer < manifest.layers.size(); ++layer) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      for (const std::int64_t index : selected.of(kind)[layer]) {
        listing.add(manifest.layers[layer].modules(kind)[index], index);
      }
    }
  }
  Report report("inspect modules", global.json);
  report.data()["model"] = to_string(version);
  report.data()["hash"] = version.hash;
  report.data()["model_version"] = version_json(version);
  report.data()["modules"] = listing.rows();
  report.text() << to_string(version) << ": " << count(selected) << " modules\n\n" << listing.text(report.style());
  report.print();
}

}  // namespace

void setup_inspect_modules(CLI::App& parent, const GlobalOptions& global) {
  auto selector = std::make_shared<std::string>("all");
  CLI::App* command = add_command(parent, {"modules", "", "List modules: place, identity, birth, size, use by tasks",
                                           "mformer inspect modules 'kind=mlp,layer=0-1'"});
  command->add_option(
      "SELECTOR", *selector,
      "Clauses that must all hold, with commas between: kind=mlp, layer=0-3, index=4, uid=3f2a, "
      "born=extend:de, domain=german, frozen, unfrozen, share(qa)>=0.02, top-share(qa)=0.9; default: all");
  computes(*command, [selector, &global] { run_inspect_modules(*selector, global); });
}

}  // namespace mformer::cli
