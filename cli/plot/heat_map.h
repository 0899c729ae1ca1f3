#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/plot/layout.h"

namespace mformer::cli {

struct HeatCell {
  std::optional<double> level;  ///< 0 to 1, the strongest; below 0 the other colour; absent = nothing there
  std::string text{};           ///< shown where it fits
  bool outlined = false;
};

/// One field of cells.
struct HeatMap {
  std::string title;     ///< may be empty
  std::string row_name;  ///< what the rows are
  std::vector<std::string> rows;
  std::vector<std::string> columns{};  ///< empty: they are counted
  std::vector<std::vector<HeatCell>> cells;
  double cell_width = 20, cell_height = 20;  ///< at most, where there are few
};

/// What the colours stand for: a bar under the maps.
struct HeatScale {
  std::string caption;     ///< what is shown, with its unit
  std::string none, most;  ///< at level 0 and 1
  std::string least{};     ///< at level -1; empty where no level is below 0
  std::string meanings{};  ///< of letters and outlines
};

/// One above the other, each with the same scale. As wide as the widest needs.
PlotPicture draw_heat_maps(const PlotHead& head, const std::vector<HeatMap>& maps, const HeatScale& scale,
                           const std::string& description, bool dark);

}  // namespace mformer::cli
