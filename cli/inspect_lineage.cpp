#include <memory>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/commands.h"
#include "cli/describe.h"
#include "cli/module_lineage.h"
#include "cli/registry_workspace.h"
#include "cli/terminal/report.h"
#include "cli/terminal/table.h"
#include "cli/validators.h"
#include "cli/version_change.h"
#include "cli/version_graph_facts.h"

namespace mformer::cli {
namespace {

using namespace terminal;
using nlohmann::ordered_json;

struct LineageOptions {
  std::string uid;
  int limit = 0;
};

/// The model's versions and those of other models that they were made from or merged with, newest first.
VersionGraph history_of_model(const Registry& registry, const VersionRecord& current, int limit) {
  return version_graph(registry, {current.hash, current.removed ? "" : current.model}, limit);
}

std::string tasks_of(const OperationRecord& operation) {
  std::string text;
  for (const OperationData& data : operation.data) {
    if (!data.task.empty()) text += (text.empty() ? "" : ", ") + data.task;
  }
  return text;
}

ordered_json lineage_row_json(const GraphRow& row, const VersionRecord& current, const VersionChange& change) {
  ordered_json json = {{"version", version_json(row.version)},
                       {"current", row.version.hash == current.hash},
                       {"parent", row.parents.empty() ? ordered_json() : version_json(*row.parents.front())},
                       {"merged", row.merged.empty() ? ordered_json() : ordered_json(row.merged)},
                       {"created_ms", row.version.created_ms},
                       {"operation", row.operation.id},
                       {"command", row.operation.command}};
  add_change(json, change);
  return json;
}

void report_versions(Report& report, const Registry& registry, const VersionRecord& current, int limit) {
  auto& rows = report.data()["versions"] = ordered_json::array();
  Table table({{""},
               {"version", Align::left},
               {"from", Align::left},
               {"when (UTC)", Align::left},
               {"command"},
               {"data", Align::left},
               {"added"},
               {"what it did", Align::left}});
  const VersionGraph graph = history_of_model(registry, current, limit);
  VersionChanges changes(registry);
  for (const GraphRow& row : graph.rows) {
    const VersionChange change = changes.of(row.version);
    if (report.json()) {
      rows.push_back(lineage_row_json(row, current, change));
      continue;
    }
    table.add_row({row.version.hash == current.hash ? "*" : "", version_name(row.version),
                   (row.parents.empty() ? "-" : version_name(*row.parents.front())) +
                       (row.merged.empty() ? "" : " + " + row.merged),
                   utc_time(row.version.created_ms), row.operation.command, tasks_of(row.operation),
                   byte_size(change.bytes), change_text(change)});
  }
  report.text() << table.str(report.style());
  report_older(report, graph.older, "version", "versions");
}

void run_inspect_lineage(const LineageOptions& options, const GlobalOptions& global) {
  RegistryWorkspace workspace(global, "inspect lineage", OpenMode::read_only);
  const Registry& registry = workspace.registry();
  const VersionRecord current = workspace.version();
  static_cast<void>(registry.manifest(current.hash));  // of which it is checked that it is the version's
  Report report("inspect lineage", global.json);
  report.data()["model"] = to_string(current);
  report.data()["hash"] = current.hash;
  report.data()["model_version"] = version_json(current);
  if (options.uid.empty()) {
    report_versions(report, registry, current, options.limit);
  } else {
    report_module(report, registry, find_module(registry, current, options.uid), options.limit);
  }
  report.print();
}

}  // namespace

void setup_inspect_lineage(CLI::App& parent, const GlobalOptions& global) {
  auto options = std::make_shared<LineageOptions>();
  CLI::App* command = add_command(
      parent, {"lineage", "", "List what made each version of the model, or the life of one module, newest first",
               "mformer inspect lineage"});
  command->add_option("UID", options->uid, "First digits of a module's identity, as inspect modules shows it");
  command->add_option("-n,--limit", options->limit, "At most N versions, or sets of weights; default: all")
      ->check(positive_integer());
  command->callback([options, &global] { run_inspect_lineage(*options, global); });
}

}  // namespace mformer::cli
