#include <map>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/commands.h"
#include "cli/computes.h"
#include "cli/describe.h"
#include "cli/diff_report.h"
#include "cli/terminal/format.h"
#include "cli/terminal/report.h"
#include "cli/terminal/table.h"
#include "cli/validators.h"
#include "cli/workspace.h"
#include "core/history/weight_change.h"
#include "core/workflows/inspect.h"
#include "core/workflows/routing_shift.h"
#include "modules_registry/error.h"

namespace mformer::cli {
namespace {

using namespace terminal;
using nlohmann::ordered_json;

struct DiffOptions {
  std::string before, after;
  bool norms = false;
  InspectRoutingCommand routing;

  bool compares_weights() const { return norms || !routing.tasks.empty(); }
};

/// Both versions and how they differ.
struct Compared {
  Compared(const Registry& registry, const DiffOptions& options)
      : before(registry.resolve(options.before)),
        after(registry.resolve(options.after)),
        diff(diff_versions(registry, registry.manifest(before.hash), registry.manifest(after.hash))) {}

  VersionRecord before, after;
  VersionDiff diff;
};

std::string relative_text(const WeightChange& change) {
  return change.relative() ? format_percent(*change.relative(), 2) : "-";
}

ordered_json change_fields(const WeightChange& change) {
  return {{"change", change.change}, {"norm", change.before}, {"relative", number_or_null(change.relative())}};
}

/// Of each layer and kind, and of each retrained module.
void report_norms(Report& report, const VersionDiff& diff, const std::map<std::string, WeightChange>& changes) {
  std::map<std::pair<int, Kind>, std::pair<std::int64_t, WeightChange>> banks;
  auto& modules = report.data()["weight_changes"] = ordered_json::array();
  Table each({{"layer"}, {"kind"}, {"uid", Align::left}, {"change"}, {"norm"}, {"relative"}});
  for (const ModuleChange& module : diff.modules) {
    const auto found = changes.find(module.uid);
    if (found == changes.end()) continue;
    auto& bank = banks[{module.layer, module.kind}];
    ++bank.first;
    bank.second += found->second;
    ordered_json row = {{"uid", module.uid}, {"layer", module.layer}, {"kind", to_string(module.kind)}};
    row.update(change_fields(found->second));
    modules.push_back(std::move(row));
    each.add_row({std::to_string(module.layer), std::string(to_string(module.kind)), module.uid,
                  format_fixed(found->second.change), format_fixed(found->second.before),
                  relative_text(found->second)});
  }
  auto& layers = report.data()["weight_changes_by_layer"] = ordered_json::array();
  Table table({{"layer"}, {"kind"}, {"retrained"}, {"change"}, {"norm"}, {"relative"}});
  for (const auto& [bank, sum] : banks) {
    ordered_json row = {{"layer", bank.first}, {"kind", to_string(bank.second)}, {"retrained", sum.first}};
    row.update(change_fields(sum.second));
    layers.push_back(std::move(row));
    table.add_row({std::to_string(bank.first), std::string(to_string(bank.second)), format_count(sum.first),
                   format_fixed(sum.second.change), format_fixed(sum.second.before), relative_text(sum.second)});
  }
  if (table.empty()) {
    report.text() << "\nno module of both has other weights\n";
    return;
  }
  report.text() << "\nweights of modules that both have: norms of the change and of what was there before\n"
                << table.str(report.style()) << '\n'
                << each.str(report.style());
}

void report_shifts(Report& report, const std::vector<RoutingShift>& shifts) {
  auto& rows = report.data()["routing"] = ordered_json::array();
  for (const RoutingShift& shift : shifts) {
    ordered_json layers = ordered_json::array();
    Table table({{"layer"}, {"kind"}, {"divergence"}, {"to new modules"}});
    for (const BankShift& bank : shift.banks) {
      layers.push_back({{"layer", bank.layer},
                        {"kind", to_string(bank.kind)},
                        {"divergence", bank.divergence},
                        {"leak", bank.leak}});
      table.add_row({std::to_string(bank.layer), std::string(to_string(bank.kind)), format_fixed(bank.divergence),
                     format_percent(bank.leak)});
    }
    table.add_rule();
    table.add_row({"mean", "", format_fixed(shift.divergence), format_percent(shift.leak)});
    rows.push_back({{"task", shift.task},
                    {"divergence", shift.divergence},
                    {"leak", shift.leak},
                    {"tokens_before", shift.tokens_before},
                    {"tokens_after", shift.tokens_after},
                    {"layers", layers}});
    report.text() << "\nrouting of " << shift.task
                  << ": Jensen-Shannon divergence in bits (0 = as before, 1 = no module in common), and the share that "
                     "goes to modules that only the second has\n"
                  << table.str(report.style());
  }
}

std::vector<RoutingShift> shifts_of(Workspace& workspace, const Compared& versions, const DiffOptions& options,
                                    bool keep) {
  const auto routing_of = [&](const VersionRecord& version) {
    const LoadedVersion loaded = load_version(workspace.registry(), version);
    return inspect_routing(workspace.computing_session(), loaded, options.routing, keep);
  };
  return workspace.run([&] { return routing_shifts(routing_of(versions.before), routing_of(versions.after)); });
}

void run_with_weights(const DiffOptions& options, const GlobalOptions& global) {
  const OpenMode mode = options.routing.tasks.empty() ? OpenMode::read_only : mode_for_measuring(global);
  Workspace workspace(global, "diff", mode);
  const Compared versions(workspace.registry(), options);
  for (const std::string& task : options.routing.tasks) workspace.registry().task(task);  // a slip is told at once
  Report report("diff", global.json);
  report_diff(report, versions.before, versions.after, versions.diff);
  if (options.norms) {
    report_norms(report, versions.diff,
                 weight_changes(workspace.registry(), versions.before, versions.after, versions.diff,
                                workspace.session().watcher.should_stop));
  }
  if (!options.routing.tasks.empty()) {
    report_shifts(report, shifts_of(workspace, versions, options, mode == OpenMode::read_write));
  }
  report.print();
}

void run_plain(const DiffOptions& options, const GlobalOptions& global) {
  RegistryWorkspace workspace(global, "diff", OpenMode::read_only);
  const Compared versions(workspace.registry(), options);
  Report report("diff", global.json);
  report_diff(report, versions.before, versions.after, versions.diff);
  report.print();
}

}  // namespace

void setup_diff(CLI::App& parent, const GlobalOptions& global) {
  auto options = std::make_shared<DiffOptions>();
  CLI::App* command = add_command(
      parent, {"diff", groups::registry, "Compare two versions: config, trunk, routers, and modules by identity",
               "mformer diff base@1 base@2"});
  command->add_option("BEFORE", options->before, "name, name@N or version-hash prefix")->required();
  command->add_option("AFTER", options->after, "name, name@N or version-hash prefix")->required();
  command->add_flag("--norms", options->norms, "Also how far the weights of retrained modules moved");
  CLI::Option* task =
      command->add_option("--task", options->routing.tasks, "Also how the routing of these tasks changed")
          ->type_name("NAME");
  command
      ->add_option("--max-tokens", options->routing.max_tokens,
                   "Measure the routing (again) on so many held-out tokens per task, 0 = all; default: what the "
                   "registry knows, or 65536")
      ->check(non_negative_integer())
      ->needs(task);
  computes_where(
      *command, [options] { return options->compares_weights(); }, [options, &global] { run_plain(*options, global); },
      [options, &global] { run_with_weights(*options, global); });
}

}  // namespace mformer::cli
