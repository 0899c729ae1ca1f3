#pragma once

#include <string>
#include <vector>

#include "cli/plot/svg.h"

namespace mformer::cli {

/// A picture as it is written.
struct PlotPicture {
  std::string svg;
  int width = 0, height = 0;  ///< units; of a PNG at scale 1 pixels
  std::string description;    ///< what it shows, in words
};

/// What stands above every picture.
struct PlotHead {
  std::string title;
  std::vector<std::string> notes;  ///< a line each: what is drawn, of what, in which unit
};

constexpr double plot_margin = 24;
constexpr double plot_text = 12;        ///< size of most texts
constexpr double plot_small_text = 10;  ///< of the least

/// Draws it; returns the height from which on the rest may be drawn.
double draw_head(Svg& svg, const PlotHead& head, double width);

/// One entry of a legend: a stretch of its line with its mark, or a field of its colour.
struct LegendEntry {
  std::string name;
  std::size_t series = 0;
  bool field = false;
  bool marked = true;  ///< With its mark, of lines.
};
/// Side by side, in as many lines as that takes; returns the height below.
double draw_legend(Svg& svg, const std::vector<LegendEntry>& entries, double top, double width);

/// How the nth of many lines is drawn: 36 differ, by colour and dashes and mark.
Stroke series_stroke(const Svg& svg, std::size_t n);
std::size_t series_mark(std::size_t n);
Rgb series_colour(const Svg& svg, std::size_t n);

/// Round values within the range, about so many.
std::vector<double> ticks(double low, double high, int count);
/// "0.25", "12,000", "1e-05".
std::string tick_text(double value);

}  // namespace mformer::cli
