#include <memory>
#include <unordered_map>
#include <utility>

#include "cli/command.h"
#include "cli/commands.h"
#include "cli/describe.h"
#include "cli/registry_workspace.h"
#include "cli/terminal/format.h"
#include "cli/terminal/report.h"
#include "cli/terminal/table.h"
#include "cli/validators.h"

namespace mformer::cli {
namespace {

using namespace terminal;
using nlohmann::ordered_json;

struct LogOptions {
  int limit = 0;
};

/// The versions of a log. Of a long one all are read at once: one by one, 10,000 take half a second.
class VersionsByHash {
 public:
  VersionsByHash(const Registry& registry, bool all) : registry_(registry) {
    if (!all) return;
    for (const ModelRecord& model : registry.models()) {
      for (VersionRecord& version : registry.versions(model.name)) {
        std::string hash = version.hash;
        known_.emplace(std::move(hash), std::move(version));
      }
    }
  }
  const VersionRecord& at(const std::string& hash) {
    const auto found = known_.find(hash);
    return found != known_.end() ? found->second : known_.emplace(hash, registry_.version(hash)).first->second;
  }
  ordered_json json(const std::string& hash) { return hash.empty() ? ordered_json() : version_json(at(hash)); }
  std::string name(const std::string& hash) { return hash.empty() ? "-" : version_name(at(hash)); }

 private:
  const Registry& registry_;
  std::unordered_map<std::string, VersionRecord> known_;
};

ordered_json data_json(const OperationRecord& operation) {
  ordered_json rows = ordered_json::array();
  for (const OperationData& data : operation.data) {
    rows.push_back(
        {{"role", data.role}, {"task", data.task}, {"path", data.path}, {"content_hash", data.content_hash}});
  }
  return rows;
}

ordered_json operation_json(VersionsByHash& versions, const OperationRecord& operation) {
  ordered_json arguments = ordered_json::parse(operation.arguments_json, nullptr, /*allow_exceptions=*/false);
  return {{"id", operation.id},
          {"command", operation.command},
          {"arguments", arguments.is_discarded() ? ordered_json(operation.arguments_json) : arguments},
          {"seed", operation.seed},
          {"code_version", operation.code_version},
          {"started_ms", operation.started_ms},
          {"ended_ms", operation.ended_ms},
          {"outcome", to_string(operation.outcome)},
          {"message", operation.message},
          {"model", operation.model},
          {"before", versions.json(operation.version_before)},
          {"after", versions.json(operation.version_after)},
          {"data", data_json(operation)}};
}

/// Tasks by their names; where the operation was about the task itself, with the place of its data.
std::string data_text(const OperationRecord& operation) {
  const bool of_task = operation.command.starts_with("task ");
  std::string text;
  for (const OperationData& data : operation.data) {
    text += (text.empty() ? "" : ", ") + (data.task.empty() ? data.path : data.task);
    if (of_task) text += ": " + data.path;
  }
  return text;
}

std::string versions_text(VersionsByHash& versions, const OperationRecord& operation) {
  const std::string before = versions.name(operation.version_before);
  const std::string after = versions.name(operation.version_after);
  if (operation.version_after.empty()) return operation.version_before.empty() ? "" : before;
  return operation.version_before.empty() ? "-> " + after : before + " -> " + after;
}

std::string duration_text(const OperationRecord& operation) {
  if (operation.ended_ms == 0) return "";
  return format_duration(static_cast<double>(operation.ended_ms - operation.started_ms) / 1000.0);
}

void run_log(const LogOptions& options, const GlobalOptions& global) {
  RegistryWorkspace workspace(global, "log", OpenMode::read_only);
  const Registry& registry = workspace.registry();
  VersionsByHash versions(registry, options.limit == 0);
  Report report("log", global.json);
  auto& rows = report.data()["operations"] = ordered_json::array();
  Table table({{"id"},
               {"when (UTC)", Align::left},
               {"took", Align::right},
               {"command"},
               {"outcome"},
               {"versions", Align::left},
               {"data", Align::left},
               {"message", Align::left}});
  for (const OperationRecord& operation : registry.operations(options.limit)) {
    if (global.json) {
      rows.push_back(operation_json(versions, operation));
      continue;
    }
    table.add_row({std::to_string(operation.id), utc_time(operation.started_ms), duration_text(operation),
                   operation.command, std::string(to_string(operation.outcome)), versions_text(versions, operation),
                   data_text(operation), operation.message});
  }
  if (table.empty()) {
    report.text() << "nothing was done in this workspace yet\n";
  } else {
    report.text() << table.str(report.style());
  }
  report.print();
}

}  // namespace

void setup_log(CLI::App& parent, const GlobalOptions& global) {
  auto options = std::make_shared<LogOptions>();
  CLI::App* command =
      add_command(parent, {"log", groups::registry, "List what was done, newest first", "mformer log -n 5"});
  command->add_option("-n,--limit", options->limit, "At most N operations; default: all")->check(positive_integer());
  command->callback([options, &global] { run_log(*options, global); });
}

}  // namespace mformer::cli
