#include "cli/plot/version_chart.h"

#include <algorithm>
#include <cmath>
#include <optional>

namespace mformer::cli {
namespace {

constexpr double chart_least_width = 720, row_height = 26, column_step = 22, radius = 6;
constexpr std::size_t most_columns = 40;
constexpr double widest_version = 260, widest_command = 460;

/// An edge, and the column that is its own in between.
struct Edge {
  std::size_t child, parent, column;
};

struct Lanes {
  std::vector<std::size_t> columns;  ///< of each version
  std::vector<Edge> edges;
  std::size_t count = 1;  ///< columns in use
};

Lanes lanes_of(const std::vector<VersionInChart>& versions) {
  Lanes lanes;
  std::vector<std::optional<std::size_t>> open;  // by column: the version that its line leads to
  const auto take_column = [&](std::size_t wanted) {
    const auto free = std::find(open.begin(), open.end(), std::nullopt);
    const auto column = static_cast<std::size_t>(free - open.begin());
    if (free == open.end()) open.emplace_back();
    open[column] = wanted;
    return column;
  };
  for (std::size_t i = 0; i < versions.size(); ++i) {
    std::optional<std::size_t> here;
    for (std::size_t c = 0; c < open.size(); ++c) {
      if (open[c] != i) continue;
      if (!here) here = c;
      open[c].reset();
    }
    if (!here) here = take_column(i);
    open[*here].reset();
    lanes.columns.push_back(*here);
    bool first = true;
    for (const std::size_t parent : versions[i].node.parents) {
      std::size_t column = *here;
      if (!first || open[*here]) column = take_column(parent);
      open[column] = parent;
      first = false;
      lanes.edges.push_back({i, parent, column});
    }
    lanes.count = std::max(lanes.count, open.size());
  }
  lanes.count = std::min(lanes.count, most_columns);
  return lanes;
}

double lane_x(std::size_t column) {
  return plot_margin + radius + static_cast<double>(std::min(column, most_columns - 1)) * column_step;
}

void draw_edges(Svg& svg, const Lanes& lanes, std::size_t versions, double top) {
  const auto y = [top](std::size_t row) { return top + static_cast<double>(row) * row_height; };
  const Stroke stroke{svg.colours().line, 1.5};
  for (const Edge& edge : lanes.edges) {
    const bool shown = edge.parent < versions;  // else the line goes on to where the picture ends
    const double from = lane_x(lanes.columns[edge.child]), lane = lane_x(edge.column);
    const double to = shown ? lane_x(lanes.columns[edge.parent]) : lane;
    const double start = y(edge.child), end = shown ? y(edge.parent) : y(versions - 1) + row_height * 0.7;
    const bool next = shown && edge.parent == edge.child + 1;
    if (next) {
      svg.bend(from, start, to, end, stroke);
      continue;
    }
    const double leaves = from == lane ? start : std::min(start + row_height, end);
    const double arrives = to == lane ? end : std::max(end - row_height, leaves);
    if (leaves > start) svg.bend(from, start, lane, leaves, stroke);
    if (arrives > leaves) svg.line(lane, leaves, lane, arrives, stroke);
    if (end > arrives) svg.bend(lane, arrives, to, end, stroke);
  }
}

}  // namespace

PlotPicture draw_version_chart(const PlotHead& head, const std::vector<VersionInChart>& versions,
                               const std::string& description, bool dark) {
  Svg svg(head.title, description, dark);
  const PlotColours& colours = svg.colours();
  const Lanes lanes = lanes_of(versions);
  double names = 0, commands = 0;
  for (const VersionInChart& one : versions) {
    names = std::max(names, text_width(fitted(one.name, plot_text, widest_version, true), plot_text, true));
    commands = std::max(commands, text_width(fitted(one.command, plot_text, widest_command), plot_text));
  }
  const double left = lane_x(lanes.count - 1) + radius + 14;
  const double width = std::max(chart_least_width, left + names + 16 + commands + plot_margin);
  const double top = draw_head(svg, head, width) + 12;
  draw_edges(svg, lanes, versions.size(), top);
  for (std::size_t i = 0; i < versions.size(); ++i) {
    using Mark = terminal::GraphNode::Mark;
    const double x = lane_x(lanes.columns[i]), y = top + static_cast<double>(i) * row_height;
    const Mark mark = versions[i].node.mark;
    const Rgb fill = mark == Mark::current ? colours.text : colours.page;
    const Stroke edge{mark == Mark::left ? colours.line : colours.text, 2, mark == Mark::left ? "3 2" : ""};
    svg.circle(x, y, radius, fill, edge);
    svg.text(left, y + 4, fitted(versions[i].name, plot_text, widest_version, true),
             {.colour = colours.text, .bold = true});
    svg.text(left + names + 16, y + 4, fitted(versions[i].command, plot_text, widest_command),
             {.colour = colours.soft});
  }
  const double end = top + static_cast<double>(versions.size()) * row_height + plot_margin - 10;
  return {svg.picture(width, end), static_cast<int>(std::ceil(width)), static_cast<int>(std::ceil(end)), description};
}

}  // namespace mformer::cli
