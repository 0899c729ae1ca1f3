#include "cli/plot/layout.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "cli/terminal/format.h"

namespace mformer::cli {

double draw_head(Svg& svg, const PlotHead& head, double width) {
  constexpr double title_size = 16, line = 17;
  const double room = width - 2 * plot_margin;
  double y = plot_margin + 12;
  svg.text(plot_margin, y, fitted(head.title, title_size, room, true),
           {.size = title_size, .colour = svg.colours().text, .bold = true});
  for (const std::string& note : head.notes) {
    y += line + 2;
    svg.text(plot_margin, y, fitted(note, plot_text, room), {.colour = svg.colours().soft});
  }
  return y + line;
}

Rgb series_colour(const Svg& svg, std::size_t n) {
  return svg.colours().series[n % svg.colours().series.size()];
}

std::size_t series_mark(std::size_t n) {
  return n + n / 6;
}

Stroke series_stroke(const Svg& svg, std::size_t n) {
  return {series_colour(svg, n), 2, series_dashes(n + n / 6)};
}

double draw_legend(Svg& svg, const std::vector<LegendEntry>& entries, double top, double width) {
  constexpr double sample = 30, gap = 8, between = 20, line = 20;
  const double room = width - 2 * plot_margin;
  double x = plot_margin, y = top + line;
  for (const LegendEntry& entry : entries) {
    const double head = (entry.field ? 14 : sample) + gap;
    const std::string name = fitted(entry.name, plot_text, room - head);
    const double wide = head + text_width(name, plot_text);
    if (x > plot_margin && x + wide > width - plot_margin) x = plot_margin, y += line;
    if (entry.field) {
      svg.rectangle(x, y - 11, 14, 14, series_colour(svg, entry.series), Stroke{svg.colours().line});
    } else {
      svg.line(x, y - 4, x + sample, y - 4, series_stroke(svg, entry.series));
      if (entry.marked) svg.mark(x + sample / 2, y - 4, series_mark(entry.series), series_colour(svg, entry.series));
    }
    svg.text(x + head, y, name, {.colour = svg.colours().text});
    x += wide + between;
  }
  return entries.empty() ? top : y + 6;
}

std::vector<double> ticks(double low, double high, int count) {
  std::vector<double> all;
  const double raw = high / count - low / count;
  if (!(raw > 0) || !std::isfinite(raw)) return {low};
  const double power = std::pow(10.0, std::floor(std::log10(raw)));
  double step = 10 * power;
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= raw) {
      step = factor * power;
      break;
    }
  }
  constexpr std::size_t most = 50;  // where rounding makes a step that is none
  for (double i = std::ceil(low / step); i * step <= high + step * 1e-9 && all.size() < most; ++i) {
    all.push_back(i * step);
  }
  return all;
}

std::string tick_text(double value) {
  constexpr double grouped = 1e4, exact = 1e15;
  if (std::abs(value) >= grouped && std::abs(value) < exact && value == std::round(value)) {
    return terminal::format_count(static_cast<std::int64_t>(value));
  }
  constexpr int digits = 6;
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value, std::chars_format::general, digits);
  return {text, end.ptr};
}

}  // namespace mformer::cli
