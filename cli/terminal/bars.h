#pragma once

#include <string>
#include <vector>

#include "cli/terminal/style.h"

namespace mformer::terminal {

/// A horizontal bar of `width` columns, filled to `fraction` (clipped to 0..1; NaN is empty) in eighths of a character
/// in Unicode, in whole '#' otherwise; the rest is spaces. Never empty for a fraction above 0.
std::string draw_bar(double fraction, int width, const Style& style);

/// One line of a bar chart.
struct Bar {
  std::string label;
  double value;      ///< >= 0; the longest bar is the largest value
  std::string text;  ///< printed after the bar: "12.3 %"
};

/// Labels, bars and texts, aligned within `style.width`; a line feed after each line.
std::string draw_bars(const std::vector<Bar>& bars, const Style& style);

}  // namespace mformer::terminal
