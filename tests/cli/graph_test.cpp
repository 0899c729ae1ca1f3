#include "cli/terminal/graph.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>

namespace mformer::terminal {
namespace {

using Mark = GraphNode::Mark;
using Edges = std::set<std::pair<std::size_t, std::size_t>>;  // child, parent

constexpr std::size_t kHidden = 1000000;  // parents from here on are not drawn

Style graph_style(bool unicode) {
  Style style;
  style.unicode = unicode;
  return style;
}

std::string graph_picture(const std::vector<GraphNode>& nodes, bool unicode) {
  std::string text;
  for (const GraphLine& line : draw_graph(nodes, graph_style(unicode))) text += line.picture + '\n';
  return text;
}

std::vector<std::string> drawn_characters(const std::string& text) {
  std::vector<std::string> found;
  for (const char byte : text) {
    if ((static_cast<unsigned char>(byte) & 0xC0) != 0x80) found.emplace_back();
    found.back() += byte;
  }
  return found;
}

bool is_one_of(const std::string& character, const std::set<std::string>& those) {
  return those.contains(character);
}

/// Reads the edges off a picture as a person does, by nothing but its strokes. What leaves at the end gets a parent
/// from kHidden on, one for each line.
class PictureReader {
 public:
  explicit PictureReader(const std::vector<GraphLine>& lines) {
    for (const GraphLine& line : lines) {
      const std::vector<std::string> cells = drawn_characters(line.picture);
      if (line.node != GraphLine::no_node) {
        read_node(cells, line.node);
      } else if (line.picture.find('~') != std::string::npos) {
        read_end(cells);
      } else {
        read_strokes(cells);
      }
    }
    require_no_end({});
  }

  Edges edges;

 private:
  static std::string at(const std::vector<std::string>& cells, std::size_t column) {
    return 2 * column < cells.size() ? cells[2 * column] : " ";
  }

  static bool joined(const std::vector<std::string>& cells, std::size_t column) {
    return 2 * column + 1 < cells.size() && is_one_of(cells[2 * column + 1], {"─", "-"});
  }

  void read_node(const std::vector<std::string>& cells, std::size_t node) {
    std::map<std::size_t, std::set<std::size_t>> now;
    for (std::size_t column = 0; 2 * column < cells.size(); ++column) {
      const std::string cell = at(cells, column);
      if (is_one_of(cell, {"@", "o", "x", "●", "○", "×"})) {
        for (const std::size_t child : open_[column]) edges.emplace(child, node);
        now[column] = {node};
        column_ = column;
      } else if (is_one_of(cell, {"|", "│"})) {
        EXPECT_TRUE(open_.contains(column)) << "a line from nowhere";
        now[column] = open_[column];
      } else {
        EXPECT_EQ(cell, " ");
      }
    }
    require_no_end(now);
    open_ = std::move(now);
    node_ = node;
  }

  void read_strokes(const std::vector<std::string>& cells) {
    std::map<std::size_t, std::set<std::size_t>> now;
    std::set<std::size_t> ways, joining;  // columns to parents, and children whose line joins that of the only one
    for (std::size_t column = 0; 2 * column < cells.size(); ++column) {
      const std::string cell = at(cells, column);
      if (is_one_of(cell, {" ", "─", "-"})) continue;
      if (is_one_of(cell, {"|", "│"})) {
        now[column] = open_[column];
        continue;
      }
      EXPECT_TRUE(joined(cells, column) || (column > 0 && joined(cells, column - 1))) << cell;
      const bool goes_up = is_one_of(cell, {"├", "┤", "┼", "+", "╯", "╰", "┴", "'"});
      const bool goes_down = is_one_of(cell, {"├", "┤", "┼", "+", "╮", "╭", "┬", "."});
      EXPECT_EQ(goes_up, open_.contains(column)) << cell;
      if (!goes_down && column != column_) joining.insert(open_[column].begin(), open_[column].end());
      if (!goes_down) continue;
      ways.insert(column);
      if (goes_up && column != column_) now[column] = open_[column];
      now[column].insert(node_);
    }
    if (!joining.empty()) {
      EXPECT_EQ(ways.size(), 1U) << "a line joins one of several";
      now[*ways.begin()].insert(joining.begin(), joining.end());
    }
    open_ = std::move(now);
  }

  void read_end(const std::vector<std::string>& cells) {
    for (std::size_t column = 0; 2 * column < cells.size(); ++column) {
      if (at(cells, column) != "~") continue;
      for (const std::size_t child : open_[column]) edges.emplace(child, kHidden + column);
      open_.erase(column);
    }
  }

  /// Only the line of the node above may end, where that has no parents.
  void require_no_end(const std::map<std::size_t, std::set<std::size_t>>& now) {
    for (const auto& [column, children] : open_) {
      if (now.contains(column)) continue;
      EXPECT_EQ(children, std::set<std::size_t>{node_});
    }
  }

  std::map<std::size_t, std::set<std::size_t>> open_;  // by column: from which nodes a line comes down
  std::size_t node_ = 0, column_ = 0;
};

/// Every node has up to three parents among the next `reach` ones, some hidden, some none.
std::vector<GraphNode> random_graph(std::mt19937& random, std::size_t count, std::size_t reach) {
  const auto below = [&](std::size_t limit) {
    return std::uniform_int_distribution<std::size_t>(0, limit - 1)(random);
  };
  std::vector<GraphNode> nodes(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t parents = below(20) == 0 ? 0 : below(4) == 0 ? 1 + below(3) : 1;
    for (std::size_t p = 0; p < parents; ++p) {
      const std::size_t parent = i + 1 + below(reach);
      const std::size_t known = parent < count ? parent : kHidden + parent % 3;
      auto& list = nodes[i].parents;
      if (std::find(list.begin(), list.end(), known) == list.end()) list.push_back(known);
    }
  }
  return nodes;
}

void expect_edges(const std::vector<GraphNode>& nodes, bool unicode) {
  const Edges drawn = PictureReader(draw_graph(nodes, graph_style(unicode))).edges;
  Edges given, seen;
  std::map<std::size_t, std::size_t> hidden_given, hidden_seen;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    for (const std::size_t parent : nodes[i].parents) {
      if (parent < nodes.size()) given.emplace(i, parent);
      if (parent >= nodes.size()) ++hidden_given[i];
    }
  }
  for (const auto& [child, parent] : drawn) {
    if (parent < kHidden) seen.emplace(child, parent);
    if (parent >= kHidden) ++hidden_seen[child];
  }
  EXPECT_EQ(seen, given) << graph_picture(nodes, unicode);
  EXPECT_EQ(hidden_seen, hidden_given) << graph_picture(nodes, unicode);
}

TEST(GraphTest, ABranchAMergeAndWhatIsNotDrawn) {
  const std::vector<GraphNode> nodes = {{{1, 2}, Mark::current}, {{3}},      {{3}}, {{5}},
                                        {{3 + 2}, Mark::left},   {{kHidden}}};
  EXPECT_EQ(graph_picture(nodes, true),
            "●\n"
            "├─╮\n"
            "○ │\n"
            "│ ○\n"
            "├─╯\n"
            "○\n"
            "│ ×\n"
            "├─╯\n"
            "○\n"
            "~\n");
  EXPECT_EQ(graph_picture(nodes, false),
            "@\n"
            "+-.\n"
            "o |\n"
            "| o\n"
            "+-'\n"
            "o\n"
            "| x\n"
            "+-'\n"
            "o\n"
            "~\n");
}

TEST(GraphTest, ALineThatIsFreeAgainMakesThePictureNarrower) {
  EXPECT_EQ(graph_picture({{{1, 2}}, {{4}}, {{3}}, {{4}}, {}}, true),
            "○\n"
            "├─╮\n"
            "○ │\n"
            "│ ○\n"
            "│ ○\n"
            "├─╯\n"
            "○\n");
  EXPECT_EQ(graph_picture({{{1, 2}}, {{3}}, {{3}}, {}}, true),
            "○\n"
            "├─╮\n"
            "○ │\n"
            "│ ○\n"
            "├─╯\n"
            "○\n");
  EXPECT_EQ(graph_picture({{{2, 1}}, {{3}}, {{3}}, {}}, false), "o\n+-.\n| o\no |\n+-'\no\n");
}

TEST(GraphTest, WhatFollowsARootIsNotItsParent) {
  EXPECT_EQ(graph_picture({{}, {}}, false), "o\n\no\n");
  EXPECT_EQ(graph_picture({{{2}}, {}, {}}, true), "○\n│ ○\n○\n");
}

TEST(GraphTest, HundredsOfBranchesOfOneVersionTakeTwoColumns) {
  constexpr std::size_t branches = 300;
  std::vector<GraphNode> nodes(branches, GraphNode{{branches}});
  nodes.emplace_back();
  for (const GraphLine& line : draw_graph(nodes, Style())) EXPECT_LE(line.picture.size(), 3U);
  expect_edges(nodes, true);
}

TEST(GraphTest, HundredsOfBranchesSideBySideAreToldApart) {
  constexpr std::size_t branches = 300;
  std::vector<GraphNode> nodes;
  for (std::size_t i = 0; i < branches; ++i) nodes.push_back({{branches + i}});
  for (std::size_t i = 0; i < branches; ++i) nodes.push_back({{2 * branches}});
  nodes.emplace_back();
  expect_edges(nodes, true);
  expect_edges(nodes, false);
}

TEST(GraphTest, EveryEdgeOfARandomGraphConnectsItsRows) {
  std::mt19937 random(7);
  for (int round = 0; round < 60; ++round) {
    const std::size_t reach = round % 3 == 0 ? 3 : round % 3 == 1 ? 12 : 150;
    const std::vector<GraphNode> nodes = random_graph(random, 1 + random() % 250, reach);
    expect_edges(nodes, round % 2 == 0);
    if (HasFailure()) return;
  }
}

TEST(GraphTest, TenThousandInALineTakeALineEach) {
  std::vector<GraphNode> nodes(10000);
  for (std::size_t i = 0; i + 1 < nodes.size(); ++i) nodes[i].parents = {i + 1};
  EXPECT_EQ(draw_graph(nodes, Style()).size(), nodes.size());
}

TEST(GraphTest, ParentsThatDoNotComeLaterAreLeftOut) {
  EXPECT_EQ(graph_picture({{{0, 1}}, {{0, 1}}}, false), "o\no\n");
}

}  // namespace
}  // namespace mformer::terminal
