#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "cli/terminal/style.h"

namespace mformer::terminal {

/// One thing in a graph that is drawn from the newest down to the oldest.
struct GraphNode {
  enum class Mark { plain, current, left };
  /// By their place among the nodes, all after the node's own (others are left out), each at most once. A number that
  /// is no place stands for one that isn't drawn: its line goes on to the end.
  std::vector<std::size_t> parents;
  Mark mark = Mark::plain;
};

/// One line of the picture.
struct GraphLine {
  static constexpr std::size_t no_node = static_cast<std::size_t>(-1);
  std::string picture;         ///< without spaces at its end
  std::size_t node = no_node;  ///< what stands on it
};

/// Draws the graph as git and jj do, a column for each line that is still under way:
///
///     @        ●        a node, of Mark::current; `o` or `○` is a plain one, `x` or `×` one of Mark::left
///     +-.      ├─╮      it has two parents: the lines below, down to the next nodes in their columns
///     | o      │ ○
///     +-'      ├─╯      the line at the right goes where the one at the left goes
///     o        ○
///     ~        ~        and on to something that isn't drawn
///
/// A line between nodes tells of the edges of the node above it alone: where it touches a column, with a corner or a
/// tee, that column's line is the way to a parent; under a bare vertical stroke it passes. A node straight below
/// another, with nothing between, is its parent. Takes time by the size of the picture.
std::vector<GraphLine> draw_graph(const std::vector<GraphNode>& nodes, const Style& style);

}  // namespace mformer::terminal
