#include "cli/terminal/graph.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <unordered_map>

#include "cli/terminal/text.h"

namespace mformer::terminal {
namespace {

constexpr std::size_t kNobody = GraphLine::no_node;

/// What leaves a cell of the picture, added up.
constexpr unsigned kUp = 1, kDown = 2, kLeft = 4, kRight = 8;

std::string_view stroke(unsigned ways, bool unicode) {
  static constexpr std::array<std::string_view, 16> drawn = {" ", "╵", "╷", "│", "╴", "╯", "╮", "┤",
                                                             "╶", "╰", "╭", "├", "─", "┴", "┬", "┼"};
  static constexpr std::array<std::string_view, 16> typed = {" ", "'", ".", "|", "-", "'", ".", "+",
                                                             "-", "'", ".", "+", "-", "'", ".", "+"};
  return unicode ? drawn[ways] : typed[ways];
}

std::string_view mark_of(GraphNode::Mark mark, bool unicode) {
  switch (mark) {
    case GraphNode::Mark::current:
      return unicode ? "●" : "@";
    case GraphNode::Mark::left:
      return unicode ? "×" : "x";
    default:
      return unicode ? "○" : "o";
  }
}

class Drawing {
 public:
  Drawing(const std::vector<GraphNode>& nodes, const Style& style) : nodes_(nodes), unicode_(style.unicode) {}

  std::vector<GraphLine> draw() {
    for (std::size_t node = 0; node < nodes_.size(); ++node) {
      const std::size_t column = place(node);
      draw_node(node, column);
      follow_parents(node, column);
    }
    draw_end();
    return std::move(lines_);
  }

 private:
  static constexpr auto kApart = [](std::size_t) { return false; };

  bool taken(std::size_t column) const { return column < lanes_.size() && lanes_[column] != kNobody; }

  std::string_view straight(std::size_t column) const { return stroke(taken(column) ? kUp | kDown : 0, unicode_); }

  /// The first free column from `first` on.
  std::size_t free_column(std::size_t first) {
    std::size_t column = first;
    while (taken(column)) ++column;
    if (column >= lanes_.size()) lanes_.resize(column + 1, kNobody);
    return column;
  }

  void wait_for(std::size_t node, std::size_t column) {
    lanes_[column] = node;
    column_of_[node] = column;
  }

  /// The column in which the node is waited for, or a new one. A node that ended its line just above must not look like
  /// a child of this one.
  std::size_t place(std::size_t node) {
    if (const auto found = column_of_.find(node); found != column_of_.end()) return found->second;
    const std::size_t column = free_column(0);
    if (column == ended_) add_line([&](std::size_t at) { return straight(at); }, kApart);
    lanes_[column] = node;
    return column;
  }

  void draw_node(std::size_t node, std::size_t column) {
    const std::string_view mark = mark_of(nodes_[node].mark, unicode_);
    add_line([&](std::size_t at) { return at == column ? mark : straight(at); }, kApart);
    lines_.back().node = node;
  }

  /// Leads lines from the node to its parents, and draws how where they aren't all straight below it.
  void follow_parents(std::size_t node, std::size_t column) {
    std::vector<bool> before(lanes_.size());
    for (std::size_t at = 0; at < lanes_.size(); ++at) before[at] = taken(at);
    lanes_[column] = kNobody;
    column_of_.erase(node);
    std::vector<std::size_t> touched = {column};
    take_over(node, column, touched);
    for (const std::size_t parent : nodes_[node].parents) {
      if (parent <= node) continue;
      if (column_of_.find(parent) == column_of_.end()) {
        wait_for(parent, taken(column) ? free_column(column + 1) : column);
      }
      touched.push_back(column_of_.at(parent));
    }
    ended_ = touched.size() == 1 ? column : kNobody;
    before.resize(lanes_.size(), false);
    std::sort(touched.begin(), touched.end());
    if (touched.front() != touched.back()) draw_edges(before, touched);
    trim_lanes();
  }

  /// Where an only parent is waited for further right, that line ends here, and the picture becomes narrower again. Of
  /// a node with more parents one couldn't tell which of them such a line leads to.
  void take_over(std::size_t node, std::size_t column, std::vector<std::size_t>& touched) {
    if (nodes_[node].parents.size() != 1) return;
    const auto found = column_of_.find(nodes_[node].parents.front());
    if (found == column_of_.end() || found->second < column) return;
    touched.push_back(found->second);
    lanes_[found->second] = kNobody;
    wait_for(found->first, column);
  }

  void draw_edges(const std::vector<bool>& before, const std::vector<std::size_t>& touched) {
    const std::size_t first = touched.front(), last = touched.back();
    const auto cell = [&](std::size_t at) {
      const bool touches = std::binary_search(touched.begin(), touched.end(), at);
      if (at < first || at > last || (!touches && taken(at))) return straight(at);
      unsigned ways = (at > first ? kLeft : 0) | (at < last ? kRight : 0);
      if (touches) ways |= (before[at] ? kUp : 0) | (taken(at) ? kDown : 0);
      return stroke(ways, unicode_);
    };
    add_line(cell, [&](std::size_t at) { return at >= first && at < last; });
  }

  void draw_end() {
    trim_lanes();
    if (lanes_.empty()) return;
    add_line([&](std::size_t at) { return std::string_view(taken(at) ? "~" : " "); }, kApart);
  }

  void trim_lanes() {
    while (!lanes_.empty() && lanes_.back() == kNobody) lanes_.pop_back();
  }

  template <typename Cell, typename Joined>
  void add_line(const Cell& cell, const Joined& joined) {
    std::string text;
    for (std::size_t at = 0; at < lanes_.size(); ++at) {
      text += cell(at);
      text += joined(at) ? stroke(kLeft | kRight, unicode_) : " ";
    }
    trim_right(text);
    lines_.push_back({std::move(text)});
  }

  const std::vector<GraphNode>& nodes_;
  const bool unicode_;
  std::vector<std::size_t> lanes_;                          // by column, the node that its line leads to
  std::unordered_map<std::size_t, std::size_t> column_of_;  // of the nodes that lines lead to: one each
  std::size_t ended_ = kNobody;                             // the column of the node just drawn, if it has no parent
  std::vector<GraphLine> lines_;
};

}  // namespace

std::vector<GraphLine> draw_graph(const std::vector<GraphNode>& nodes, const Style& style) {
  return Drawing(nodes, style).draw();
}

}  // namespace mformer::terminal
