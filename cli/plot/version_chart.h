#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "cli/plot/layout.h"
#include "cli/terminal/graph.h"

namespace mformer::cli {

/// A version in the picture: its place in the graph, and what is written beside it.
struct VersionInChart {
  terminal::GraphNode node;
  std::string name, command;
};

/// Newest first, a line each. An edge keeps a column of its own from the version down to its parent, so that it passes
/// through no other. At most 40 columns; edges beyond them share the last.
PlotPicture draw_version_chart(const PlotHead& head, const std::vector<VersionInChart>& versions,
                               const std::string& description, bool dark);

}  // namespace mformer::cli
