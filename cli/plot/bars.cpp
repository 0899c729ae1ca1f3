#include "cli/plot/bars.h"

#include <algorithm>
#include <cmath>

#include "cli/terminal/format.h"

namespace mformer::cli {
namespace {

constexpr double bars_width = 720, widest_name = 260, bar_height = 18, bar_step = 26;

/// At most as many parts as there are colours: the last ones become one.
void join_last(std::vector<std::string>& parts, std::vector<ShareBar>& bars, std::size_t most) {
  if (parts.size() <= most) return;
  const std::size_t kept = most - 1;
  for (ShareBar& bar : bars) {
    bar.shares.resize(parts.size());
    double rest = 0;
    for (std::size_t i = kept; i < bar.shares.size(); ++i) rest += bar.shares[i];
    bar.shares.resize(kept);
    bar.shares.push_back(rest);
  }
  const std::size_t others = parts.size() - kept;
  parts.resize(kept);
  parts.push_back(std::to_string(others) + " others");
}

}  // namespace

PlotPicture draw_share_bars(const PlotHead& head, std::vector<std::string> parts, std::vector<ShareBar> bars,
                            const std::string& note_name, const std::string& description, bool dark) {
  Svg svg(head.title, description, dark);
  const PlotColours& colours = svg.colours();
  join_last(parts, bars, colours.series.size());
  double names = 0, notes = text_width(note_name, plot_text);
  for (const ShareBar& bar : bars) {
    names = std::max(names, text_width(fitted(bar.name, plot_text, widest_name), plot_text));
    notes = std::max(notes, text_width(bar.note, plot_text));
  }
  const double left = plot_margin + names + 10, right = bars_width - plot_margin - (notes > 0 ? notes + 10 : 0);
  double y = draw_head(svg, head, bars_width);
  if (!note_name.empty()) {
    svg.text(bars_width - plot_margin, y + 6, note_name, {.anchor = Anchor::end, .colour = colours.soft});
  }
  y += 12;
  for (const ShareBar& bar : bars) {
    svg.text(left - 10, y + 13, fitted(bar.name, plot_text, widest_name),
             {.anchor = Anchor::end, .colour = colours.text});
    double x = left;
    for (std::size_t i = 0; i < bar.shares.size(); ++i) {
      const double wide = std::clamp(bar.shares[i], 0.0, 1.0) * (right - left);
      if (wide <= 0) continue;
      svg.rectangle(x, y, wide, bar_height, series_colour(svg, i), Stroke{colours.page});
      const std::string percent = terminal::format_percent(bar.shares[i]);
      if (text_width(percent, plot_text) + 6 < wide) {
        svg.text(x + wide / 2, y + 13, percent, {.anchor = Anchor::middle, .colour = ink_on(series_colour(svg, i))});
      }
      x += wide;
    }
    svg.text(bars_width - plot_margin, y + 13, bar.note, {.anchor = Anchor::end, .colour = colours.text});
    y += bar_step;
  }
  for (const double share : {0.0, 0.25, 0.5, 0.75, 1.0}) {
    const double x = left + share * (right - left);
    svg.line(x, y - 4, x, y, {colours.line});
    svg.text(x, y + 13, terminal::format_percent(share, 0), {.anchor = Anchor::middle, .colour = colours.text});
  }
  std::vector<LegendEntry> entries;
  for (std::size_t i = 0; i < parts.size(); ++i) entries.push_back({.name = parts[i], .series = i, .field = true});
  const double end = draw_legend(svg, entries, y + 20, bars_width) + plot_margin;
  return {svg.picture(bars_width, end), static_cast<int>(bars_width), static_cast<int>(std::ceil(end)), description};
}

}  // namespace mformer::cli
