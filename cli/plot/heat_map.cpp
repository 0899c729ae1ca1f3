#include "cli/plot/heat_map.h"

#include <algorithm>
#include <cmath>

namespace mformer::cli {
namespace {

constexpr double usual_width = 720, widest_label = 200;
constexpr double least_cell = 2, least_height = 6;
constexpr double header = 20, title_line = 24;

/// Where the parts of one map lie.
struct HeatPlan {
  double left = 0;              ///< of the first cell
  double cell = 0, height = 0;  ///< of one cell
  std::size_t columns = 0;
  double width() const { return left + static_cast<double>(columns) * cell + plot_margin; }
};

HeatPlan plan_of(const HeatMap& map) {
  HeatPlan plan;
  double label = text_width(map.row_name, plot_small_text);
  for (const std::string& row : map.rows)
    label = std::max(label, text_width(fitted(row, plot_text, widest_label), plot_text));
  plan.left = plot_margin + label + 8;
  for (const auto& row : map.cells) plan.columns = std::max(plan.columns, row.size());
  const double room = (usual_width - plan.left - plot_margin) / std::max<double>(1, static_cast<double>(plan.columns));
  const bool named = !map.columns.empty();
  plan.cell = named ? map.cell_width : std::clamp(room, least_cell, map.cell_width);
  plan.height = named ? map.cell_height : std::clamp(plan.cell, least_height, map.cell_height);
  return plan;
}

class HeatPicture {
 public:
  HeatPicture(Svg& svg, const HeatMap& map) : svg_(svg), map_(map), plan_(plan_of(map)) {}

  double width() const { return plan_.width(); }

  double draw(double top) {
    if (!map_.title.empty()) {
      top += title_line;
      svg_.text(plot_margin, top - 8, fitted(map_.title, 13, std::max(width(), usual_width) - 2 * plot_margin, true),
                {.size = 13, .colour = svg_.colours().text, .bold = true});
    }
    svg_.text(plan_.left - 8, top + 12, map_.row_name,
              {.size = plot_small_text, .anchor = Anchor::end, .colour = svg_.colours().soft});
    draw_columns(top + 12);
    top += header;
    const auto every = static_cast<std::size_t>(std::ceil(13 / plan_.height));
    for (std::size_t r = 0; r < map_.cells.size(); ++r) {
      const double y = top + static_cast<double>(r) * plan_.height;
      if (r % every == 0) {
        svg_.text(plan_.left - 8, y + plan_.height / 2 + 4, fitted(map_.rows[r], plot_text, widest_label),
                  {.anchor = Anchor::end, .colour = svg_.colours().text});
      }
      for (std::size_t c = 0; c < map_.cells[r].size(); ++c) draw_cell(map_.cells[r][c], x(c), y);
    }
    // Above all others, so that no neighbour covers a part of it.
    for (std::size_t r = 0; r < map_.cells.size(); ++r) {
      for (std::size_t c = 0; c < map_.cells[r].size(); ++c) {
        if (map_.cells[r][c].outlined) outline(x(c), top + static_cast<double>(r) * plan_.height);
      }
    }
    return top + static_cast<double>(map_.cells.size()) * plan_.height;
  }

  static Rgb colour(const Svg& svg, double level) {
    const PlotColours& all = svg.colours();
    return mixed(all.empty, all.series[level < 0 ? 1 : 0], std::abs(level));
  }

 private:
  double x(std::size_t column) const { return plan_.left + static_cast<double>(column) * plan_.cell; }

  void draw_columns(double y) {
    const bool named = !map_.columns.empty();
    const double digits = text_width(std::to_string(plan_.columns), plot_small_text) + 6;
    std::size_t every = 1;
    while (!named && static_cast<double>(every) * plan_.cell < digits) every *= 2;
    for (std::size_t c = 0; c < plan_.columns; c += every) {
      const std::string name = named ? fitted(map_.columns[c], plot_text, plan_.cell - 6) : std::to_string(c);
      svg_.text(x(c) + plan_.cell / 2, y, name,
                {.size = named ? plot_text : plot_small_text, .anchor = Anchor::middle, .colour = svg_.colours().text});
    }
  }

  void draw_cell(const HeatCell& cell, double left, double top) {
    const double gap = plan_.cell >= 6 ? 1 : 0;
    if (!cell.level) {
      if (!cell.text.empty()) {
        svg_.text(left + plan_.cell / 2, top + plan_.height / 2 + 4, cell.text,
                  {.anchor = Anchor::middle, .colour = svg_.colours().soft});
      }
      return;
    }
    const Rgb fill = colour(svg_, *cell.level);
    svg_.rectangle(left, top, plan_.cell - gap, plan_.height - (plan_.height >= 6 ? 1 : 0), fill);
    const double size = std::min(plot_text, plan_.height - 3);
    if (cell.text.empty() || size < 6 || text_width(cell.text, size) > plan_.cell - 2) return;
    svg_.text(left + (plan_.cell - gap) / 2, top + plan_.height / 2 + size * 0.33, cell.text,
              {.size = size, .anchor = Anchor::middle, .colour = ink_on(fill)});
  }

  void outline(double left, double top) {
    const Stroke stroke{svg_.colours().text, 2};
    const double right = left + plan_.cell - 1, bottom = top + plan_.height - 1;
    svg_.polyline({{left, top}, {right, top}, {right, bottom}, {left, bottom}, {left, top}}, stroke);
  }

  Svg& svg_;
  const HeatMap& map_;
  HeatPlan plan_;
};

double draw_scale(Svg& svg, const HeatScale& scale, double top, double width) {
  constexpr int steps = 24;
  constexpr double step = 8, bar = 12;
  const double room = width - 2 * plot_margin;
  double y = top + 26;
  svg.text(plot_margin, y, fitted(scale.caption, plot_text, room), {.colour = svg.colours().soft});
  y += 10;
  const int first = scale.least.empty() ? 0 : -steps;
  const std::string& start = scale.least.empty() ? scale.none : scale.least;
  double x = plot_margin + text_width(start, plot_text) + 8;
  svg.text(x - 8, y + 11, start, {.anchor = Anchor::end, .colour = svg.colours().text});
  const double zero = x - first * step;
  for (int i = first; i < steps; ++i) {
    svg.rectangle(x, y, step + 0.3, bar, HeatPicture::colour(svg, (i + 0.5) / steps));
    x += step;
  }
  svg.text(x + 8, y + 11, scale.most, {.colour = svg.colours().text});
  if (!scale.least.empty()) {
    svg.text(zero, y + bar + 13, scale.none, {.anchor = Anchor::middle, .colour = svg.colours().text});
    y += 14;
  }
  y += bar;
  if (scale.meanings.empty()) return y;
  y += 18;
  svg.text(plot_margin, y, fitted(scale.meanings, plot_text, room), {.colour = svg.colours().soft});
  return y;
}

}  // namespace

PlotPicture draw_heat_maps(const PlotHead& head, const std::vector<HeatMap>& maps, const HeatScale& scale,
                           const std::string& description, bool dark) {
  Svg svg(head.title, description, dark);
  std::vector<HeatPicture> pictures;
  double width = usual_width;
  for (const HeatMap& map : maps) {
    pictures.emplace_back(svg, map);
    width = std::max(width, pictures.back().width());
  }
  double y = draw_head(svg, head, width);
  for (HeatPicture& picture : pictures) y = picture.draw(y) + 8;
  const double end = draw_scale(svg, scale, y - 8, width) + plot_margin;
  return {svg.picture(width, end), static_cast<int>(std::ceil(width)), static_cast<int>(std::ceil(end)), description};
}

}  // namespace mformer::cli
