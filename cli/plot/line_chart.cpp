#include "cli/plot/line_chart.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "cli/terminal/format.h"
#include "modules_registry/error.h"

namespace mformer::cli {
namespace {

constexpr double chart_width = 720, chart_inner_height = 300;
constexpr double right_room = 36;
constexpr std::size_t most_marked_points = 60;
constexpr int few_places = 10;

std::string loss_text(double value) {
  constexpr double usual = 1e6;
  return std::abs(value) < usual ? terminal::format_fixed(value) : tick_text(value);
}

struct Range {
  double low = std::numeric_limits<double>::infinity(), high = -low;

  void take(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  /// Some room on both sides; of a single value all of it.
  void widen(double part) {
    // Halves, since the whole need not be a number.
    const double room = high > low ? (high / 2 - low / 2) * (2 * part) : std::max(std::abs(low) * 0.05, 0.5);
    low -= room, high += room;
  }
  double part(double value) const { return high > low ? (value / 2 - low / 2) / (high / 2 - low / 2) : 0.5; }
};

class Chart {
 public:
  Chart(const LineChart& chart, bool dark) : chart_(chart), svg_(chart.head.title, describe(chart), dark) {
    for (const PlotSeries& one : chart.series) {
      for (const auto& [x, y] : one.points) x_.take(x), y_.take(y);
    }
    if (!(x_.low <= x_.high)) throw Error("there is nothing to draw", "mformer report shows what the registry has");
    if (x_.low == x_.high) x_.widen(0);
    y_.widen(0.05);
  }

  PlotPicture draw() {
    top_ = draw_head(svg_, chart_.head, chart_width) + 4;
    bottom_ = top_ + chart_inner_height;
    draw_y_axis();
    draw_x_axis();
    for (std::size_t i = 0; i < chart_.series.size(); ++i) draw_series(i);
    std::vector<LegendEntry> entries;
    for (std::size_t i = 0; i < chart_.series.size(); ++i) {
      const PlotSeries& one = chart_.series[i];
      entries.push_back({.name = one.name, .series = i, .marked = one.points.size() <= most_marked_points});
    }
    const double end = draw_legend(svg_, entries, bottom_ + 44, chart_width) + plot_margin;
    return {svg_.picture(chart_width, end), static_cast<int>(chart_width), static_cast<int>(std::ceil(end)),
            describe(chart_)};
  }

 private:
  static std::string describe(const LineChart& chart) {
    std::string text = chart.y_name + " against " + chart.x_name + ".";
    for (const PlotSeries& one : chart.series) {
      if (one.points.empty()) continue;
      const auto place = [&](double x) {
        return chart.places.empty() ? tick_text(x) : chart.places[static_cast<std::size_t>(x)];
      };
      text += " " + one.name + ": " + loss_text(one.points.front().second) + " at " + place(one.points.front().first) +
              ", " + loss_text(one.points.back().second) + " at " + place(one.points.back().first) + ".";
    }
    return text;
  }

  double x(double value) const { return left_ + 8 + x_.part(value) * (chart_width - right_room - left_ - 8); }
  double y(double value) const { return bottom_ - y_.part(value) * (bottom_ - top_); }

  void draw_y_axis() {
    const std::vector<double> values = ticks(y_.low, y_.high, 5);
    double widest = 0;
    for (const double value : values) widest = std::max(widest, text_width(tick_text(value), plot_text));
    left_ = plot_margin + 20 + widest + 8;
    for (const double value : values) {
      svg_.line(left_, y(value), chart_width - right_room, y(value), {svg_.colours().grid});
      svg_.text(left_ - 8, y(value) + 4, tick_text(value), {.anchor = Anchor::end, .colour = svg_.colours().text});
    }
    svg_.text(plot_margin + 10, (top_ + bottom_) / 2, fitted(chart_.y_name, plot_text, bottom_ - top_),
              {.anchor = Anchor::middle, .colour = svg_.colours().text, .upwards = true});
    svg_.line(left_, top_, left_, bottom_, {svg_.colours().line});
  }

  void draw_x_axis() {
    svg_.line(left_, bottom_, chart_width - right_room, bottom_, {svg_.colours().line});
    const bool places = !chart_.places.empty();
    std::vector<double> values;
    if (places) {
      const std::size_t every = (chart_.places.size() + few_places - 1) / few_places;
      for (std::size_t i = 0; i < chart_.places.size(); i += every) values.push_back(static_cast<double>(i));
    } else {
      values = ticks(x_.low, x_.high, 6);
    }
    const double slot = values.size() > 1 ? x(values[1]) - x(values[0]) - 8 : chart_width / 2;
    for (const double value : values) {
      if (value < x_.low || value > x_.high) continue;
      const std::string text = places ? chart_.places[static_cast<std::size_t>(value)] : tick_text(value);
      const std::string shown = fitted(text, plot_text, slot);
      // Not beyond the picture's edge.
      const double half = text_width(shown, plot_text) / 2;
      const double middle = std::min(x(value), chart_width - 4 - half);
      svg_.line(x(value), bottom_, x(value), bottom_ + 4, {svg_.colours().line});
      svg_.text(middle, bottom_ + 18, shown, {.anchor = Anchor::middle, .colour = svg_.colours().text});
    }
    svg_.text((left_ + chart_width - right_room) / 2, bottom_ + 38, fitted(chart_.x_name, plot_text, chart_width / 2),
              {.anchor = Anchor::middle, .colour = svg_.colours().text});
  }

  void draw_series(std::size_t i) {
    const PlotSeries& one = chart_.series[i];
    std::vector<std::pair<double, double>> points;
    for (const auto& [a, b] : one.points) points.emplace_back(x(a), y(b));
    Stroke stroke = series_stroke(svg_, i);
    const bool marked = points.size() <= most_marked_points;
    if (!marked) stroke.width = 1.5;
    svg_.polyline(points, stroke);
    if (!marked) return;
    for (const auto& [a, b] : points) svg_.mark(a, b, series_mark(i), series_colour(svg_, i));
  }

  const LineChart& chart_;
  Svg svg_;
  Range x_, y_;
  double left_ = 0, top_ = 0, bottom_ = 0;
};

}  // namespace

PlotPicture draw_line_chart(const LineChart& chart, bool dark) {
  return Chart(chart, dark).draw();
}

}  // namespace mformer::cli
