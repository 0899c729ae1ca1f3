#include <algorithm>
#include <map>

#include "cli/command.h"
#include "cli/commands.h"
#include "cli/computes.h"
#include "cli/describe.h"
#include "cli/module_lineage.h"
#include "cli/terminal/format.h"
#include "cli/terminal/report.h"
#include "cli/terminal/table.h"
#include "cli/workspace.h"
#include "core/history/diff.h"
#include "core/history/lineage.h"

namespace mformer::cli {
namespace {

using namespace terminal;
using nlohmann::ordered_json;

/// The model's versions and those of other models that they were made from or merged with, newest first.
std::vector<VersionRecord> history(const Registry& registry, const VersionRecord& current) {
  std::map<std::string, VersionRecord> found;
  std::vector<VersionRecord> open = registry.versions(current.model);
  while (!open.empty()) {
    const VersionRecord version = open.back();
    open.pop_back();
    if (!found.emplace(version.hash, version).second) continue;
    if (!version.parent.empty()) open.push_back(registry.version(version.parent));
    const auto branch = merged_branch(registry, version);
    if (branch && branch->version) open.push_back(*branch->version);
  }
  std::vector<VersionRecord> versions;
  versions.reserve(found.size());
  for (const auto& [hash, version] : found) versions.push_back(version);
  std::sort(versions.begin(), versions.end(),
            [](const VersionRecord& a, const VersionRecord& b) { return a.operation_id > b.operation_id; });
  return versions;
}

/// "6 modules added; trunk: same; 32 private parts of domain german, 590 kB": what the operation did to the parent.
std::string summary(const VersionDiff& diff) {
  const ModuleCounts counts = count_changes(diff);
  std::string text;
  const auto say = [&text](std::int64_t count, const char* what) {
    if (count > 0)
      text += (text.empty() ? "" : ", ") + std::to_string(count) + (text.empty() ? " modules " : " ") + what;
  };
  say(counts.added, "added");
  say(counts.removed, "removed");
  say(counts.retrained, "retrained");
  say(counts.frozen, "frozen");
  say(counts.unfrozen, "unfrozen");
  if (diff.same()) return "nothing changed";
  text += std::string(text.empty() ? "" : "; ") + "trunk: ";
  text += diff.trunk.empty() ? "same" : std::to_string(diff.trunk.size()) + " parts changed";
  if (!diff.old_routers.empty()) text += "; " + std::to_string(diff.old_routers.size()) + " routers changed";
  const std::string private_parts = private_parts_text(diff.domains);
  return private_parts.empty() ? text : text + "; " + private_parts;
}

std::string tasks_of(const OperationRecord& operation) {
  std::string text;
  for (const OperationData& data : operation.data) {
    if (!data.task.empty()) text += (text.empty() ? "" : ", ") + data.task;
  }
  return text;
}

void report_versions(Report& report, const Registry& registry, const VersionRecord& current) {
  auto& rows = report.data()["versions"] = ordered_json::array();
  Table table({{""},
               {"version", Align::left},
               {"from", Align::left},
               {"when (UTC)", Align::left},
               {"command"},
               {"data", Align::left},
               {"added"},
               {"what it did", Align::left}});
  for (const VersionRecord& version : history(registry, current)) {
    const OperationRecord operation = registry.operation(version.operation_id);
    const Manifest manifest = registry.manifest(version.hash);
    const bool first = version.parent.empty();
    const VersionDiff diff =
        diff_versions(registry, first ? Manifest{"{}", "", {}, {}} : registry.manifest(version.parent), manifest);
    const ModuleCounts counts = count_changes(diff);
    const std::int64_t bytes = registry.added_bytes(version.hash);
    const bool is_current = version.hash == current.hash;
    const auto branch = merged_branch(registry, version);
    rows.push_back({{"version", version_json(version)},
                    {"current", is_current},
                    {"parent", version_json(registry, version.parent)},
                    {"merged", branch ? ordered_json(branch->name) : ordered_json()},
                    {"created_ms", version.created_ms},
                    {"operation", operation.id},
                    {"command", operation.command},
                    {"added_bytes", bytes},
                    {"modules", registry.modules(version.hash).size()},
                    {"added", counts.added},
                    {"removed", counts.removed},
                    {"retrained", counts.retrained},
                    {"frozen", counts.frozen},
                    {"unfrozen", counts.unfrozen},
                    {"trunk", diff.trunk},
                    {"routers", diff.routers},
                    {"old_routers", diff.old_routers},
                    {"private_parts", private_parts_json(diff.domains)},
                    {"nothing_old_changed", first ? ordered_json() : ordered_json(diff.nothing_old_changed())}});
    table.add_row({is_current ? "*" : "", version_name(registry, version.hash),
                   version_name(registry, version.parent) + (branch ? " + " + branch->name : ""),
                   utc_time(version.created_ms), operation.command, tasks_of(operation),
                   format_bytes(static_cast<std::uint64_t>(bytes)),
                   first ? std::to_string(counts.added) + " modules, all new" : summary(diff)});
  }
  report.text() << table.str(report.style());
}

void run_inspect_lineage(const std::string& uid, const GlobalOptions& global) {
  Workspace workspace(global, "inspect lineage", OpenMode::read_only);
  const Registry& registry = workspace.registry();
  const VersionRecord current = workspace.version();
  Report report("inspect lineage", global.json);
  report.data()["model"] = to_string(current);
  report.data()["hash"] = current.hash;
  report.data()["model_version"] = version_json(current);
  if (uid.empty()) {
    report_versions(report, registry, current);
  } else {
    report_module(report, registry, find_module(registry, current, uid));
  }
  report.print();
}

}  // namespace

void setup_inspect_lineage(CLI::App& parent, const GlobalOptions& global) {
  auto uid = std::make_shared<std::string>();
  CLI::App* command = add_command(
      parent, {"lineage", "", "List what made each version of the model, or the life of one module, newest first",
               "mformer inspect lineage"});
  command->add_option("UID", *uid, "First digits of a module's identity, as inspect modules shows it");
  computes(*command, [uid, &global] { run_inspect_lineage(*uid, global); });
}

}  // namespace mformer::cli
