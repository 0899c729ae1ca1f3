#include "cli/terminal/heatmap.h"

#include <gtest/gtest.h>

#include <cmath>
#include <sstream>
#include <utility>
#include <vector>

#include "cli/terminal/text.h"
#include "tests/cli/golden.h"

namespace mformer::terminal {
namespace {

using test::expect_golden;

// Uneven shares from a fixed formula: no random numbers, no ties.
Heatmap routing_map(int layers, int modules) {
  Heatmap map;
  map.title = "mlp modules: share of the tokens' choices per layer, task english";
  map.row_name = "layer";
  map.as_percent = true;
  for (int layer = 0; layer < layers; ++layer) {
    HeatmapRow row{std::to_string(layer), {}, {}};
    for (int module = 0; module < modules; ++module) {
      row.values.push_back((1 + std::sin(0.7 * module + 1.3 * layer)) / (2.0 * modules));
    }
    map.rows.push_back(row);
  }
  return map;
}

Heatmap plain_map(std::vector<double> row) {
  Heatmap map;
  map.rows = {{"0", std::move(row), {}}};
  return map;
}

/// The same marks in every row.
void mark_columns(Heatmap& map, const std::string& marks) {
  for (HeatmapRow& row : map.rows) row.marks = marks;
}

Style coloured() {
  return {.terminal = true, .colour = Colour::rgb, .unicode = true, .width = 80};
}

TEST(HeatmapTest, DrawsAsciiShades) {
  Heatmap map = routing_map(6, 16);
  mark_columns(map, std::string(12, ' ') + "****");
  map.marks_meaning = "* born by extend:de";
  expect_golden("heatmap_ascii.txt", draw_heatmap(map, Style()));
}

TEST(HeatmapTest, DrawsUnicodeShades) {
  Style style;
  style.unicode = true;
  expect_golden("heatmap_unicode.txt", draw_heatmap(routing_map(3, 32), style));
}

TEST(HeatmapTest, DrawsTwoRowsPerLineInColour) {
  expect_golden("heatmap_rgb.txt", draw_heatmap(routing_map(5, 8), coloured()));
}

TEST(HeatmapTest, DrawsOneRowPerLineInColourWithoutUnicode) {
  const Style style{.terminal = true, .colour = Colour::palette, .unicode = false, .width = 80};
  expect_golden("heatmap_palette.txt", draw_heatmap(routing_map(2, 8), style));
}

TEST(HeatmapTest, ContinuesInBlocksWhenThereAreMoreModulesThanColumns) {
  Heatmap map = routing_map(2, 100);
  mark_columns(map, std::string(96, ' ') + "****");
  Style style;
  style.width = 60;
  expect_golden("heatmap_wrapped.txt", draw_heatmap(map, style));
}

TEST(HeatmapTest, EndsShortRowsAndMarksAbsentModules) {
  Heatmap map = routing_map(3, 8);
  map.rows[1].values.resize(5);
  map.rows[2].values[3] = std::nan("");
  expect_golden("heatmap_ragged.txt", draw_heatmap(map, Style()));
}

// Two layers to which extensions added unequal numbers of modules: a column's mark is not the same in both.
Heatmap unevenly_marked() {
  Heatmap map = routing_map(2, 8);
  map.rows[0].marks = "    aabb";
  map.rows[1].marks = "    abbb";
  map.rows[1].values.resize(7);
  map.marks_meaning = "a born by extend:de, b born by extend:fr";
  return map;
}

TEST(HeatmapTest, MarksStandInTheirCellsWhereRowsDiffer) {
  expect_golden("heatmap_marked_ascii.txt", draw_heatmap(unevenly_marked(), Style()));
  expect_golden("heatmap_marked_rgb.txt", draw_heatmap(unevenly_marked(), coloured()));
}

Heatmap changes() {
  Heatmap map = plain_map({0, 0.25, -0.25, 0.5, -0.5, 0.01});
  map.two_sided = true;
  map.as_percent = true;
  return map;
}

TEST(HeatmapTest, LessAndMoreDiffer) {
  expect_golden("heatmap_changes_ascii.txt", draw_heatmap(changes(), Style()));
  expect_golden("heatmap_changes_rgb.txt", draw_heatmap(changes(), coloured()));
}

TEST(HeatmapTest, EveryLineFitsTheWidth) {
  for (const int width : {20, 40, 80, 200}) {
    for (const int modules : {1, 7, 32, 64, 500}) {
      Style style;
      style.width = width;
      Heatmap map = routing_map(2, modules);
      mark_columns(map, std::string(static_cast<size_t>(modules), '*'));
      map.marks_meaning = "* born by extend:de and many more words than fit into one line of a small window";
      std::istringstream lines(draw_heatmap(map, style));
      for (std::string line; std::getline(lines, line);) EXPECT_LE(display_width(line), width) << line;
      map.two_sided = true;
      map.rows[0].marks[0] = '+';  // no longer the same as below: in the cells
      std::istringstream changed(draw_heatmap(map, style));
      for (std::string line; std::getline(changed, line);) EXPECT_LE(display_width(line), width) << line;
    }
  }
}

TEST(HeatmapTest, PlainPicturesHaveNoEscapeSequences) {
  EXPECT_EQ(draw_heatmap(routing_map(2, 8), Style()).find('\x1b'), std::string::npos);
}

TEST(HeatmapTest, ClipsAtTheGivenScale) {
  Heatmap map = plain_map({0, 0.5, 9});
  map.scale_max = 1;
  const std::string picture = draw_heatmap(map, Style());
  EXPECT_NE(picture.find("|   +++@@@|"), std::string::npos) << picture;
  EXPECT_NE(picture.find("| 1\n"), std::string::npos) << picture;
}

TEST(HeatmapTest, AMatrixOfZerosIsDark) {
  EXPECT_NE(draw_heatmap(plain_map({0, 0}), Style()).find("|      |"), std::string::npos);
}

TEST(HeatmapTest, SaysSoWhenThereIsNothingToShow) {
  EXPECT_EQ(draw_heatmap({}, Style()), "(nothing to show)\n");
  EXPECT_EQ(draw_heatmap(plain_map({}), Style()), "(nothing to show)\n");
}

}  // namespace
}  // namespace mformer::terminal
