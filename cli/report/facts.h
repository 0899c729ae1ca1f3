#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/version_graph_facts.h"
#include "core/workflows/matrix_figures.h"
#include "modules_registry/registry.h"

namespace mformer::cli {

/// How much of a registry a report tells: the newest of each, so that the page of a large workspace stays below 2 MB.
struct ReportLimits {
  int versions = 300;              ///< in the graph
  int operations = 500;            ///< in the list
  std::size_t modules = 400'000;   ///< bytes for what is told of modules
  std::size_t routing = 900'000;   ///< bytes for maps of routing
  std::size_t curves = 40;         ///< training curves
  std::size_t curve_points = 200;  ///< of each, evenly spread
};

/// A report's data, read from the registry alone: docs/report.md has its fields. `version` is what the matrix is about;
/// the same registry gives the same data.
nlohmann::ordered_json report_facts(const Registry& registry, const VersionRecord& version, const ReportLimits& limits);

/// The parts of it, each for one section of the page. Versions are named by their place in the graph.
void add_versions(nlohmann::ordered_json& data, const VersionGraph& graph);
void add_modules(nlohmann::ordered_json& data, const Registry& registry, const VersionGraph& graph, std::size_t bytes);
void add_routing(nlohmann::ordered_json& data, const Registry& registry, const VersionGraph& graph, std::size_t bytes);
void add_matrix(nlohmann::ordered_json& data, const Registry& registry, const VersionRecord& version);
void add_posterior(nlohmann::ordered_json& data, const Registry& registry, const VersionGraph& graph);
void add_operations(nlohmann::ordered_json& data, const Registry& registry, const ReportLimits& limits);

/// R along the lineage of `version` as far as the registry knows it, over the number of tokens (`limit`) over which
/// most losses are known; with no steps where nothing was trained.
ScoreMatrix known_matrix(const Registry& registry, const VersionRecord& version, std::int64_t& limit);

/// Losses of a table that `inspect keep-curve --csv` wrote: one object a criterion. Throws Error for any other file.
nlohmann::ordered_json keep_curves(const std::string& csv);

}  // namespace mformer::cli
