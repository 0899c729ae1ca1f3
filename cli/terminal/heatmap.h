#pragma once

#include <string>
#include <vector>

#include "cli/terminal/style.h"

namespace mformer::terminal {

/// One row of a picture, a layer for example.
struct HeatmapRow {
  std::string label;           ///< short: "0", "11"
  std::vector<double> values;  ///< one per column; rows may differ in length; NaN = nothing there
  std::string marks{};         ///< an ASCII character for each value, ' ' = none; shorter means none for the rest
};

/// A matrix as a picture: who routes where.
///
/// On a terminal with colour each character cell shows two rows (upper and lower half block) from dark (0) to bright
/// (the largest value); elsewhere each row is a line of shades: " .:-=+*#%@", or " ░▒▓█" in Unicode. Columns are as
/// wide as the window allows, up to 3 characters each, and continue in further blocks when they do not fit.
///
/// Where all rows agree on the mark of each column, marks stand in a line above; else each in its cell, and a character
/// cell shows one row.
struct Heatmap {
  std::string title;             ///< a line above, "mlp: share of tokens per module"; may be empty
  std::string row_name;          ///< heading of the labels, "layer"
  std::vector<HeatmapRow> rows;  ///< drawn in this order; values >= 0 unless two_sided
  std::string marks_meaning;     ///< legend of the marks: "* born by extend:de"; may be empty
  double scale_max = 0;          ///< the value shown brightest; 0 = the largest value; larger values are clipped
  bool as_percent = false;       ///< the legend's numbers are percentages
  bool two_sided = false;        ///< values may be below 0: another colour, elsewhere a sign before the shade
};

/// The picture with its legend; every line fits `style.width` and ends with a line feed.
std::string draw_heatmap(const Heatmap& heatmap, const Style& style);

}  // namespace mformer::terminal
