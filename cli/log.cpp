#include <memory>
#include <vector>

#include "cli/command.h"
#include "cli/commands.h"
#include "cli/describe.h"
#include "cli/operation_report.h"
#include "cli/registry_workspace.h"
#include "cli/terminal/format.h"
#include "cli/terminal/report.h"
#include "cli/terminal/table.h"
#include "cli/validators.h"
#include "cli/version_graph.h"

namespace mformer::cli {
namespace {

using namespace terminal;
using nlohmann::ordered_json;

struct LogOptions {
  int limit = 0;
  std::int64_t operation = 0;  ///< 0 = all
  bool script = false;
  bool graph = false;
};

std::string duration_text(const OperationRecord& operation) {
  if (operation.ended_ms == 0) return "";
  return format_duration(static_cast<double>(operation.ended_ms - operation.started_ms) / 1000.0);
}

std::string versions_text(VersionsByHash& versions, const OperationRecord& operation) {
  const std::string before = versions.name(operation.version_before);
  const std::string after = versions.name(operation.version_after) + tags_text(versions.tags(operation.version_after));
  if (operation.version_after.empty()) return operation.version_before.empty() ? "" : before;
  return operation.version_before.empty() ? "-> " + after : before + " -> " + after;
}

/// Its command, and what it said.
std::string what_was_done(const OperationRecord& operation) {
  const std::string text = (operation.origin.empty() ? "" : "elsewhere: ") + command_text(operation);
  return operation.message.empty() ? text : text + " (" + operation.message + ')';
}

void list_operations(const std::vector<OperationRecord>& operations, VersionsByHash& versions, Report& report) {
  if (report.json()) {
    auto& rows = report.data()["operations"] = ordered_json::array();
    for (const OperationRecord& operation : operations) rows.push_back(operation_json(operation, versions));
    return;
  }
  if (operations.empty()) {
    report.text() << "nothing was done in this workspace yet\n";
    return;
  }
  Table table({{"id"},
               {"when (UTC)", Align::left},
               {"took", Align::right},
               {"outcome"},
               {"versions", Align::left},
               {"command", Align::left}});
  for (const OperationRecord& operation : operations) {
    table.add_row({std::to_string(operation.id), utc_minute(operation.started_ms), duration_text(operation),
                   std::string(to_string(operation.outcome)), versions_text(versions, operation),
                   what_was_done(operation)});
  }
  report.text() << table.str(report.style());
}

void run_log(const LogOptions& options, const GlobalOptions& global) {
  RegistryWorkspace workspace(global, "log", OpenMode::read_only);
  const Registry& registry = workspace.registry();
  Report report("log", global.json);
  if (options.graph) {
    report_version_graph(report, registry, global.model, options.limit);
    return report.print();
  }
  const bool all = options.operation == 0;
  VersionsByHash versions(registry, all && options.limit == 0 && !options.script);
  const std::vector<OperationRecord> operations =
      all ? registry.operations(options.limit) : std::vector{registry.operation(options.operation)};
  if (options.script) {
    const std::string script = script_of(operations, registry.workspace());
    report.data()["script"] = script;
    report.text() << script;
  } else if (all) {
    list_operations(operations, versions, report);
  } else {
    report_operation(report, registry, operations.front(), versions);
  }
  report.print();
}

}  // namespace

void setup_log(CLI::App& parent, const GlobalOptions& global) {
  auto options = std::make_shared<LogOptions>();
  CLI::App* command = add_command(
      parent,
      {"log", groups::registry, "List what was done, newest first, or tell of one operation", "mformer log -n 5"});
  CLI::Option* operation = command->add_option("OP", options->operation, "Tell everything of one operation: its id")
                               ->check(positive_integer());
  CLI::Option* script =
      command->add_flag("--script", options->script, "Write a shell script that does the same again, oldest first");
  command->add_option("-n,--limit", options->limit, "At most N operations, or versions; default: all")
      ->check(positive_integer());
  command->add_flag("--graph", options->graph, "Draw the versions of all models, or the history of --model, as a graph")
      ->excludes(operation)
      ->excludes(script);
  command->callback([options, &global] { run_log(*options, global); });
}

}  // namespace mformer::cli
