#include <map>

#include "cli/describe.h"
#include "cli/operation_report.h"
#include "cli/plot/bars.h"
#include "cli/plot/pictures.h"
#include "cli/plot/version_chart.h"
#include "cli/report/facts.h"
#include "cli/terminal/format.h"
#include "modules_registry/error.h"

namespace mformer::cli {
namespace {

using nlohmann::ordered_json;

std::string names_of_row(const GraphRow& row, const std::string& current) {
  std::string names;
  const auto add = [&names](const std::string& name) { names += (names.empty() ? "" : ", ") + name; };
  for (const std::string& model : row.models) add(model == current ? model + "*" : model);
  for (const std::string& tag : row.tags) add("tag " + tag);
  return version_name(row.version) + (names.empty() ? "" : " (" + names + ")");
}

/// Shares as report facts have them, [[name, share], …]; a hypothesis gets its place when it is first seen.
std::vector<double> shares_in_bar(const ordered_json& shares, std::vector<std::string>& hypotheses) {
  std::vector<double> row(hypotheses.size(), 0.0);
  for (const ordered_json& one : shares) {
    const auto name = one[0].get<std::string>();
    std::size_t place = 0;
    while (place < hypotheses.size() && hypotheses[place] != name) ++place;
    if (place == hypotheses.size()) hypotheses.push_back(name);
    if (row.size() <= place) row.resize(place + 1);
    if (one[1].is_number()) row[place] = one[1].get<double>();
  }
  return row;
}

std::string described(const std::vector<std::string>& parts, const std::vector<ShareBar>& bars) {
  std::string text;
  for (const ShareBar& bar : bars) {
    text += (text.empty() ? "" : " ") + bar.name + ":";
    for (std::size_t i = 0; i < bar.shares.size(); ++i) {
      text += (i == 0 ? " " : ", ") + parts[i] + " " + terminal::format_percent(bar.shares[i]);
    }
    text += ".";
  }
  return text;
}

}  // namespace

PlotPicture plot_versions(const Registry& registry, const std::string& ref, int limit, bool dark) {
  const std::string of = ref.empty() ? "" : registry.resolve(ref).hash;
  const VersionGraph graph = version_graph(registry, {of, ""}, limit);
  if (graph.rows.empty()) throw Error("there is no version yet", "mformer init makes the first");
  std::vector<VersionInChart> versions;
  std::string description = "Newest first.";
  for (const GraphRow& row : graph.rows) {
    versions.push_back({row.node, names_of_row(row, graph.current_model), command_text(row.operation)});
    description += " " + versions.back().name + ", made by " + versions.back().command + ".";
  }
  PlotHead head{of.empty() ? "Versions" : "History of " + version_name(registry, of),
                {"The newest is at the top. Filled: where the current model stands; dashed: no name leads to it."}};
  if (graph.older > 0) {
    head.notes.push_back(terminal::format_counted(static_cast<std::int64_t>(graph.older), "older version") +
                         " left out.");
  }
  return draw_version_chart(head, versions, description, dark);
}

PlotPicture plot_posterior(const Registry& registry, const VersionRecord& version, bool dark) {
  const VersionGraph only = version_graph(registry, {version.hash, ""}, 1);  // the newest of its history: itself
  ordered_json data = ordered_json::object();
  add_posterior(data, registry, only);
  std::vector<std::string> hypotheses;
  std::vector<ShareBar> bars;
  for (const ordered_json& row : data.at("posterior")) {
    bars.push_back({row.at("task").get<std::string>(), "", shares_in_bar(row.at("shares"), hypotheses)});
  }
  if (bars.empty()) {
    throw Error("the registry does not say what the posterior of " + version_name(version) + " decided",
                "of a model with domains mformer eval --model " + to_string(version) + " measures and keeps it");
  }
  const PlotHead head{"Posterior of " + version_name(version),
                      {"Which hypothesis predicted how much of each task, held-out text."}};
  const std::string description = described(hypotheses, bars);
  return draw_share_bars(head, hypotheses, bars, "", description, dark);
}

PlotPicture plot_posterior_of_documents(const VersionRecord& version, const ordered_json& documents, bool dark) {
  std::vector<std::string> hypotheses;
  std::vector<ShareBar> bars;
  for (const ordered_json& row : documents) {
    const std::string name = row.at("task").get<std::string>() + ", document " +
                             terminal::format_count(row.at("number").get<std::int64_t>());
    const std::string loss = row.at("loss").is_number() ? terminal::format_fixed(row.at("loss").get<double>()) : "-";
    bars.push_back({name, loss, shares_in_bar(row.at("shares"), hypotheses)});
  }
  if (bars.empty()) throw Error("there is no held-out document to read", "mformer tasks lists what each task has");
  const PlotHead head{"Posterior of " + version_name(version) + " on sample documents",
                      {"Which hypothesis predicted how much of each document, held-out text; loss in nats per token."}};
  const std::string description = described(hypotheses, bars);
  return draw_share_bars(head, hypotheses, bars, "loss", description, dark);
}

}  // namespace mformer::cli
