#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/terminal/style.h"

namespace mformer::cli {

using terminal::Rgb;

/// What pictures are drawn in, as in the page of `mformer report` (report/page.css).
struct PlotColours {
  Rgb page, text, soft, line, grid, empty;
  /// Told apart with any kind of colour-blindness, by lightness too; each stands out from the page by 3 : 1 or more.
  std::vector<Rgb> series;
};
const PlotColours& plot_colours(bool dark);

/// The colour that lies `part` (0 to 1) of the way from one to the other.
Rgb mixed(Rgb from, Rgb to, double part);

/// Black or white, whichever can be read on it: one of them always has a contrast of 4.5 : 1.
Rgb ink_on(Rgb background);

enum class Anchor { start, middle, end };

/// How a text is written.
struct TextLook {
  double size = 12;
  Anchor anchor = Anchor::start;
  Rgb colour{};
  bool bold = false;
  bool upwards = false;  ///< Turned to be read from below.
};

/// How a line is drawn. `dashes`: as of stroke-dasharray; "" = whole.
struct Stroke {
  Rgb colour{};
  double width = 1;
  std::string dashes{};
};

/// Width that no sans-serif font in use exceeds for such a text, by the widths of DejaVu Sans, which is wider than
/// most. In the units of the picture, as `size` is.
double text_width(std::string_view text, double size, bool bold = false);

/// The text, or as much of its beginning as is at most so wide, with "…" behind it. What doesn't show (control
/// characters, marks that reorder text, bytes that are no UTF-8) is escaped, as on a terminal.
std::string fitted(std::string_view text, double size, double width, bool bold = false);

/// A picture as SVG 1.1, which fetches nothing and has no script. The same calls give the same bytes, in any locale.
/// Texts may hold anything.
class Svg {
 public:
  /// `title` and `description` are for those who can't see it.
  Svg(std::string title, std::string description, bool dark);

  const PlotColours& colours() const { return colours_; }

  void line(double x0, double y0, double x1, double y1, const Stroke& stroke);
  /// Straight from point to point.
  void polyline(const std::vector<std::pair<double, double>>& points, const Stroke& stroke);
  /// From above to below, both ends upright.
  void bend(double x0, double y0, double x1, double y1, const Stroke& stroke);
  void rectangle(double x, double y, double width, double height, Rgb fill, const std::optional<Stroke>& edge = {});
  void circle(double x, double y, double radius, Rgb fill, const std::optional<Stroke>& edge = {});
  /// The nth of six shapes about a point, so that lines are told apart without colour: circle, square, triangle, …
  void mark(double x, double y, std::size_t shape, Rgb fill);
  void text(double x, double y, std::string_view text, const TextLook& look);

  /// The whole file.
  std::string picture(double width, double height) const;

 private:
  std::string title_, description_;
  const PlotColours& colours_;
  std::string body_;
};

/// Dashes of the nth line.
const std::string& series_dashes(std::size_t n);

/// The first line of every SVG that we wrote, by which it is known again.
extern const char* const svg_first_line;

}  // namespace mformer::cli
