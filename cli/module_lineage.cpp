#include "cli/module_lineage.h"

#include <algorithm>
#include <set>

#include "cli/describe.h"
#include "cli/terminal/format.h"
#include "cli/terminal/table.h"
#include "modules_registry/error.h"

namespace mformer::cli {
namespace {

using namespace terminal;
using nlohmann::ordered_json;

constexpr int kMostMatches = 6;  // one more than are listed

void add_matches(const Registry& registry, const std::string& version, const std::string& prefix,
                 std::set<std::string>& uids) {
  for (const ModuleRecord& module : registry.modules(version)) {
    if (module.uid.starts_with(prefix)) uids.insert(module.uid);
  }
}

std::string some_of(const std::set<std::string>& uids) {
  constexpr std::size_t shown = 5;
  std::string text;
  std::size_t count = 0;
  for (const std::string& uid : uids) {
    if (count++ == shown) return text + ", ...";
    text += (text.empty() ? "" : ", ") + uid;
  }
  return text;
}

/// Models whose current version has the module, with its object there.
std::vector<std::pair<VersionRecord, ManifestModule>> places_now(const Registry& registry, const ModuleRecord& module) {
  std::vector<std::pair<VersionRecord, ManifestModule>> places;
  for (const ModelRecord& model : registry.models()) {
    const Manifest manifest = registry.manifest(model.current_version);
    if (static_cast<std::size_t>(module.layer) >= manifest.layers.size()) continue;
    for (const ManifestModule& place : manifest.layers[module.layer].modules(module.kind)) {
      if (place.uid == module.uid) places.emplace_back(registry.version(model.current_version), place);
    }
  }
  return places;
}

void report_revisions(Report& report, const Registry& registry, const ModuleRecord& module, int limit) {
  auto& rows = report.data()["revisions"] = ordered_json::array();
  Table table({{"revision"}, {"from"}, {"when (UTC)"}, {"command"}, {"object", Align::left}, {"bytes"}});
  std::vector<Revision> revisions = registry.revisions(module.uid);
  std::reverse(revisions.begin(), revisions.end());
  const std::size_t all = revisions.size();
  if (limit > 0) revisions.resize(std::min(all, static_cast<std::size_t>(limit)));
  for (const Revision& revision : revisions) {
    const OperationRecord operation = registry.operation(revision.operation_id);
    const bool there = registry.objects().contains(revision.object_hash);
    const std::int64_t bytes = there ? registry.objects().size(revision.object_hash) : 0;
    rows.push_back({{"id", revision.id},
                    {"parent", revision.parent_id == 0 ? ordered_json() : ordered_json(revision.parent_id)},
                    {"created_ms", revision.created_ms},
                    {"operation", operation.id},
                    {"command", operation.command},
                    {"object", revision.object_hash},
                    {"bytes", bytes}});
    table.add_row({std::to_string(revision.id), revision.parent_id == 0 ? "-" : std::to_string(revision.parent_id),
                   utc_time(revision.created_ms), operation.command, short_hash(revision.object_hash),
                   there ? format_bytes(static_cast<std::uint64_t>(bytes)) : "missing"});
  }
  report.text() << '\n' << table.str(report.style());
  report_older(report, all - revisions.size(), "set of weights", "sets of weights");
}

}  // namespace

ModuleRecord find_module(const Registry& registry, const VersionRecord& version, const std::string& prefix) {
  std::set<std::string> uids;
  add_matches(registry, version.hash, prefix, uids);
  if (uids.empty()) {
    for (const std::string& uid : registry.modules_that_begin(prefix, kMostMatches)) uids.insert(uid);
  }
  if (uids.empty()) {
    throw UsageError("there is no module whose uid begins with '" + prefix + "'",
                     "mformer inspect modules lists the modules");
  }
  if (uids.size() > 1) {
    throw UsageError("'" + prefix + "' is the beginning of more than one module: " + some_of(uids), "give more digits");
  }
  return registry.module(*uids.begin());
}

void report_module(Report& report, const Registry& registry, const ModuleRecord& module, int limit) {
  report.data()["module"] = {{"uid", module.uid},
                             {"kind", to_string(module.kind)},
                             {"layer", module.layer},
                             {"born_by", module.born_command},
                             {"born_for", module.born_task},
                             {"born_operation", module.born_operation},
                             {"created_ms", module.created_ms},
                             {"copied_from", module.copied_from}};
  report.text() << "module " << module.uid << ": " << to_string(module.kind) << ", layer " << module.layer
                << ", born by " << birth_name(module) << " at " << utc_time(module.created_ms) << " UTC (operation "
                << module.born_operation << ")";
  if (!module.copied_from.empty()) {
    const bool several = module.copied_from.find(',') != std::string::npos;
    report.text() << (several ? ", made of " : ", copied from ") << module.copied_from;
  }
  report.text() << '\n';
  auto& now = report.data()["now_in"] = ordered_json::array();
  for (const auto& [version, place] : places_now(registry, module)) {
    now.push_back({{"version", version_json(version)}, {"frozen", place.frozen}, {"object", place.object_hash}});
    report.text() << "in " << to_string(version) << " as " << short_hash(place.object_hash)
                  << (place.frozen ? ", frozen" : "") << '\n';
  }
  report_revisions(report, registry, module, limit);
}

}  // namespace mformer::cli
