#pragma once

#include <string>

#include "cli/plot/layout.h"

namespace mformer::cli {

/// The picture in pixels, `scale` for each unit, drawn by librsvg's program rsvg-convert. The same picture, librsvg and
/// fonts give the same bytes. Throws Error where that program is missing or fails, UsageError for more pixels than it
/// can draw.
std::string png_of(const PlotPicture& picture, double scale);

/// Whether png_of() made the file.
bool is_png_of_ours(const std::string& path);

}  // namespace mformer::cli
