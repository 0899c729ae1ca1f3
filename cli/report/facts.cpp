#include "cli/report/facts.h"

#include "cli/describe.h"
#include "cli/loss_curve.h"
#include "cli/operation_report.h"

namespace mformer::cli {
namespace {

using nlohmann::ordered_json;

ordered_json curve_facts(const OperationRecord& operation, const PastRun& run, std::size_t most) {
  ordered_json points = ordered_json::array();
  const std::size_t size = run.losses.size(), count = std::min(size, most);
  for (std::size_t i = 0; i < count; ++i) {
    const auto& [step, loss] = run.losses[size <= most ? i : i * (size - 1) / (count - 1)];
    points.push_back({step, loss});
  }
  return {{"operation", operation.id}, {"command", command_text(operation)}, {"steps", size}, {"points", points}};
}

ordered_json operation_facts(const OperationRecord& operation, VersionsByHash& versions) {
  ordered_json tasks = ordered_json::array();
  for (const OperationData& data : operation.data) {
    if (!data.task.empty()) tasks.push_back(data.task);
  }
  return {{"id", operation.id},
          {"command", command_text(operation)},
          {"outcome", to_string(operation.outcome)},
          {"message", operation.message},
          {"before", versions.name(operation.version_before)},
          {"after", versions.name(operation.version_after)},
          {"started", operation.started_ms},
          {"ended", operation.ended_ms},
          {"tasks", tasks}};
}

std::string stood_text(const GraphRow& row) {
  std::string text;
  for (const StoodHere& one : row.stood) {
    text += (text.empty() ? "" : "; ") + one.model + " stood here until " + one.command + ", operation " +
            std::to_string(one.operation);
  }
  return text;
}

}  // namespace

void add_versions(ordered_json& data, const VersionGraph& graph) {
  auto& rows = data["versions"] = ordered_json::array();
  for (const GraphRow& row : graph.rows) {
    ordered_json parents = ordered_json::array();
    for (const std::size_t parent : row.node.parents) {
      if (parent < graph.rows.size()) parents.push_back(parent);
    }
    const bool current = row.node.mark == terminal::GraphNode::Mark::current;
    const bool left = row.node.mark == terminal::GraphNode::Mark::left;
    rows.push_back({{"ref", version_name(row.version)},
                    {"hash", row.version.hash},
                    {"parents", parents},
                    {"cut_off", parents.size() < row.node.parents.size()},
                    {"models", row.models},
                    {"tags", row.tags},
                    {"stood", stood_text(row)},
                    {"merged", row.merged},
                    {"mark", current ? "current"
                             : left  ? "left"
                                     : ""},
                    {"created", row.version.created_ms},
                    {"operation", row.operation.id},
                    {"command", command_text(row.operation)}});
  }
  data["older_versions"] = graph.older;
}

void add_operations(ordered_json& data, const Registry& registry, const ReportLimits& limits) {
  VersionsByHash versions(registry, true);
  ordered_json rows = ordered_json::array(), curves = ordered_json::array();
  for (const OperationRecord& operation : registry.operations(limits.operations)) {
    rows.push_back(operation_facts(operation, versions));
    if (curves.size() == limits.curves) continue;
    const auto run = find_run(registry, operation);
    if (run && !run->losses.empty()) curves.push_back(curve_facts(operation, *run, limits.curve_points));
  }
  data["operations"] = std::move(rows);
  data["curves"] = std::move(curves);
}

ordered_json report_facts(const Registry& registry, const VersionRecord& version, const ReportLimits& limits) {
  const VersionGraph graph = version_graph(registry, {}, limits.versions);
  ordered_json data = {{"version", 1},
                       {"program", MFORMER_VERSION},
                       {"workspace", registry.workspace().filename().string()},
                       {"shown", version_name(version)}};
  add_versions(data, graph);
  add_modules(data, registry, graph, limits.modules);
  add_routing(data, registry, graph, limits.routing);
  add_matrix(data, registry, version);
  add_posterior(data, registry, graph);
  add_operations(data, registry, limits);
  data["keep"] = ordered_json::array();
  data["documents"] = ordered_json::array();
  return data;
}

}  // namespace mformer::cli
