#pragma once

#include <string>
#include <utility>
#include <vector>

#include "cli/plot/layout.h"

namespace mformer::cli {

/// One bar, made of shares that add up to 1.
struct ShareBar {
  std::string name, note;  ///< left and right of it
  std::vector<double> shares;
};

/// Bars one above the other; `parts` are what the shares belong to. From the seventh on parts are one, "others".
PlotPicture draw_share_bars(const PlotHead& head, std::vector<std::string> parts, std::vector<ShareBar> bars,
                            const std::string& note_name, const std::string& description, bool dark);

}  // namespace mformer::cli
