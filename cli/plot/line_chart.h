#pragma once

#include <string>
#include <utility>
#include <vector>

#include "cli/plot/layout.h"

namespace mformer::cli {

struct PlotSeries {
  std::string name;
  std::vector<std::pair<double, double>> points;  ///< finite; in the order of x
};

/// Lines over two axes.
struct LineChart {
  PlotHead head;
  std::string x_name, y_name;  ///< with their units
  std::vector<PlotSeries> series;
  std::vector<std::string> places;  ///< where x counts these from 0; empty where x is a number
};

/// Throws Error where no series has a point.
PlotPicture draw_line_chart(const LineChart& chart, bool dark);

}  // namespace mformer::cli
