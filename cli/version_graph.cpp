#include "cli/version_graph.h"

#include <algorithm>
#include <cstdint>

#include "cli/describe.h"
#include "cli/operation_report.h"
#include "cli/terminal/format.h"
#include "cli/terminal/table.h"
#include "cli/terminal/text.h"
#include "cli/version_graph_facts.h"

namespace mformer::cli {
namespace {

using namespace terminal;
using nlohmann::ordered_json;

constexpr int kLeastText = 40;  // columns that a picture leaves on a terminal for what it is a picture of

/// "base*, second, tag first": who stands at a version.
std::string who_stands(const GraphRow& row, const VersionGraph& graph) {
  std::string text;
  const auto add = [&text](const std::string& name) { text += (text.empty() ? "" : ", ") + name; };
  for (const std::string& model : row.models) add(model + (model == graph.current_model ? "*" : ""));
  for (const std::string& tag : row.tags) add("tag " + tag);
  if (row.version.hash == graph.looked_at) add("looked at");
  return text;
}

/// "base stood here until undo, operation 6".
std::string who_stood(const GraphRow& row) {
  std::string text;
  for (const StoodHere& stood : row.stood) {
    text += (text.empty() ? "" : "; ") + stood.model + " stood here until " + stood.command + ", operation " +
            std::to_string(stood.operation);
  }
  return text;
}

std::string row_text(const GraphRow& row, const VersionGraph& graph) {
  std::string text = version_name(row.version);
  if (const std::string names = who_stands(row, graph); !names.empty()) text += "  (" + names + ')';
  if (const std::string names = who_stood(row); !names.empty()) text += "  (" + names + ')';
  text += "  " + utc_minute(row.version.created_ms) + "  " + command_text(row.operation);
  const bool elsewhere = !row.merged.empty() && row.parents.size() < 2;
  return printable(elsewhere ? text + "  (merged with " + row.merged + ')' : text);
}

void draw(Report& report, const VersionGraph& graph) {
  const Style& style = report.style();
  std::vector<GraphNode> nodes;
  for (const GraphRow& row : graph.rows) nodes.push_back(row.node);
  for (const GraphLine& line : draw_graph(nodes, style)) {
    std::string text = line.picture;
    if (style.terminal) text = shorten(text, std::max(style.width - kLeastText, style.width / 2), style.unicode);
    if (line.node != GraphLine::no_node) text += "  " + row_text(graph.rows[line.node], graph);
    report.text() << (style.terminal ? shorten(text, style.width, style.unicode) : text) << '\n';
  }
}

std::string parents_text(const GraphRow& row) {
  std::string text;
  for (const VersionRecord* parent : row.parents) text += (text.empty() ? "" : ", ") + version_name(*parent);
  if (!row.merged.empty() && row.parents.size() < 2) text += (text.empty() ? "" : ", ") + row.merged;
  return text.empty() ? "-" : text;
}

std::string graph_table(const VersionGraph& graph, const Style& style) {
  Table table({{"version", Align::left},
               {"parents", Align::left},
               {"names", Align::left},
               {"stood here", Align::left},
               {"when (UTC)", Align::left},
               {"operation"},
               {"command", Align::left}});
  for (const GraphRow& row : graph.rows) {
    table.add_row({version_name(row.version), parents_text(row), who_stands(row, graph), who_stood(row),
                   utc_time(row.version.created_ms), std::to_string(row.operation.id), command_text(row.operation)});
  }
  return table.str(style);
}

ordered_json graph_row_json(const GraphRow& row) {
  ordered_json parents = ordered_json::array(), stood = ordered_json::array();
  for (const VersionRecord* parent : row.parents) parents.push_back(version_json(*parent));
  for (const StoodHere& one : row.stood) {
    stood.push_back({{"model", one.model}, {"operation", one.operation}, {"command", one.command}});
  }
  return {{"version", version_json(row.version)},
          {"current", row.node.mark == GraphNode::Mark::current},
          {"parents", parents},
          {"merged", row.merged.empty() ? ordered_json() : ordered_json(row.merged)},
          {"models", row.models},
          {"tags", row.tags},
          {"stood", stood},
          {"named", row.node.mark != GraphNode::Mark::left},
          {"created_ms", row.version.created_ms},
          {"operation", row.operation.id},
          {"command", row.operation.command}};
}

}  // namespace

void report_version_graph(Report& report, const Registry& registry, const std::string& ref, int limit) {
  const VersionGraph graph = version_graph(registry, {ref.empty() ? "" : registry.resolve(ref).hash, ""}, limit);
  report.data()["looked_at"] = version_json(registry, graph.looked_at);
  auto& rows = report.data()["versions"] = ordered_json::array();
  if (report.json()) {
    for (const GraphRow& row : graph.rows) rows.push_back(graph_row_json(row));
  } else if (graph.rows.empty()) {
    report.text() << "there is no version in this workspace yet\n";
  } else if (report.style().tables != TableFormat::text) {
    report.text() << graph_table(graph, report.style());
  } else {
    draw(report, graph);
  }
  report_older(report, graph.older, "version", "versions");
}

}  // namespace mformer::cli
