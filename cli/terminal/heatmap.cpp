#include "cli/terminal/heatmap.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <span>
#include <string_view>

#include "cli/terminal/format.h"
#include "cli/terminal/text.h"

namespace mformer::terminal {
namespace {

constexpr int widest_cell = 3;
constexpr int tick_step = 4;
constexpr int legend_cells = 20;

// Dark violet to pale yellow; brightness rises evenly, so the order survives a print in grey.
constexpr std::array<Rgb, 7> anchors = {
    {{16, 10, 40}, {60, 20, 100}, {115, 35, 120}, {175, 55, 105}, {225, 95, 75}, {248, 155, 60}, {252, 245, 170}}};

Rgb heat(double level) {
  const double position = level * static_cast<double>(anchors.size() - 1);
  const size_t index = std::min(static_cast<size_t>(position), anchors.size() - 2);
  const double part = position - static_cast<double>(index);
  const auto mix = [part](unsigned char from, unsigned char to) {
    return static_cast<unsigned char>(std::lround(from + part * (to - from)));
  };
  const Rgb& low = anchors[index];
  const Rgb& high = anchors[index + 1];
  return {mix(low.red, high.red), mix(low.green, high.green), mix(low.blue, high.blue)};
}

std::string_view shade(double level, const Style& style) {
  static constexpr std::array<std::string_view, 5> blocks = {" ", "░", "▒", "▓", "█"};
  static constexpr std::array<std::string_view, 10> ascii = {" ", ".", ":", "-", "=", "+", "*", "#", "%", "@"};
  const std::span<const std::string_view> shades = style.unicode ? std::span<const std::string_view>(blocks) : ascii;
  const auto step = static_cast<size_t>(level * static_cast<double>(shades.size()));
  return shades[std::min(step, shades.size() - 1)];
}

std::string repeat(std::string_view text, int count) {
  std::string result;
  for (int i = 0; i < count; ++i) result += text;
  return result;
}

// What all blocks of one picture share.
class Picture {
 public:
  Picture(const Heatmap& map, const Style& style);
  std::string draw() const;

 private:
  using Level = std::optional<double>;  // 0..1; nothing where there is no module

  bool coloured() const { return style_.colour != Colour::none; }
  bool paired() const { return coloured() && style_.unicode; }
  Level level(size_t row, int column) const;
  std::string label(size_t row) const;
  std::string margin(const std::string& text) const;
  std::string ruler(int first, int last) const;
  std::string marks(int first, int last) const;
  std::string shaded_row(size_t row, int first, int last) const;
  std::string coloured_row(size_t row, int first, int last) const;
  std::string coloured_cell(Level upper, Level lower) const;
  std::string block(int first, int last) const;
  std::string legend() const;

  const Heatmap& map_;
  const Style& style_;
  int columns_ = 0;
  double maximum_ = 0;
  bool has_gaps_ = false;  // a NaN among the values
  int label_width_ = 0;
  int cell_ = 1;
  int per_block_ = 1;
};

Picture::Picture(const Heatmap& map, const Style& style) : map_(map), style_(style) {
  label_width_ = display_width(map.row_name);
  for (size_t row = 0; row < map.rows.size(); ++row) {
    columns_ = std::max(columns_, static_cast<int>(map.rows[row].values.size()));
    label_width_ = std::max(label_width_, display_width(label(row)));
    for (const double value : map.rows[row].values) {
      has_gaps_ = has_gaps_ || std::isnan(value);
      if (std::isfinite(value)) maximum_ = std::max(maximum_, value);
    }
  }
  if (map.scale_max > 0) maximum_ = map.scale_max;
  const int frame = coloured() ? 0 : 2;
  const int room = std::max(style.width - label_width_ - column_gap - frame, 1);
  const int blocks = std::max((columns_ + room - 1) / room, 1);
  per_block_ = std::max((columns_ + blocks - 1) / blocks, 1);
  cell_ = std::clamp(room / per_block_, 1, widest_cell);
}

Picture::Level Picture::level(size_t row, int column) const {
  if (row >= map_.rows.size()) return std::nullopt;
  const std::vector<double>& values = map_.rows[row].values;
  const auto index = static_cast<size_t>(column);
  if (index >= values.size() || std::isnan(values[index])) return std::nullopt;
  return maximum_ > 0 ? std::clamp(values[index] / maximum_, 0.0, 1.0) : 0;
}

std::string Picture::label(size_t row) const {
  const std::vector<HeatmapRow>& rows = map_.rows;
  return paired() && row + 1 < rows.size() ? rows[row].label + '/' + rows[row + 1].label : rows[row].label;
}

std::string Picture::margin(const std::string& text) const {
  return pad_left(text, label_width_) + std::string(column_gap, ' ');
}

// Every fourth column's number above its cell; every eighth when the numbers would touch.
std::string Picture::ruler(int first, int last) const {
  const int digits = static_cast<int>(std::to_string(last).size());
  const int step = digits < tick_step * cell_ ? tick_step : 2 * tick_step;
  std::string line = margin(map_.row_name) + (coloured() ? "" : " ");
  const auto start = line.size();
  for (int column = (first + step - 1) / step * step; column < last; column += step) {
    line.resize(start + static_cast<size_t>((column - first) * cell_), ' ');
    const std::string number = std::to_string(column);
    if (display_width(line) + static_cast<int>(number.size()) <= style_.width) line += number;
  }
  trim_right(line);
  return line + '\n';
}

std::string Picture::marks(int first, int last) const {
  std::string line = margin("") + (coloured() ? "" : " ");
  bool any = false;
  for (int column = first; column < std::min(last, static_cast<int>(map_.marks.size())); ++column) {
    const char mark = map_.marks[static_cast<size_t>(column)];
    any = any || mark != ' ';
    line += mark + std::string(static_cast<size_t>(cell_ - 1), ' ');
  }
  trim_right(line);
  return any ? line + '\n' : "";
}

std::string Picture::shaded_row(size_t row, int first, int last) const {
  const int end = std::min(last, static_cast<int>(map_.rows[row].values.size()));
  std::string line = margin(label(row)) + '|';
  for (int column = first; column < end; ++column) {
    const Level value = level(row, column);
    line += repeat(value ? shade(*value, style_) : "x", cell_);
  }
  return line + "|\n";
}

std::string Picture::coloured_cell(Level upper, Level lower) const {
  if (!paired()) return upper ? background(heat(*upper), style_) + repeat(" ", cell_) : repeat(" ", cell_);
  if (upper && lower) return foreground(heat(*upper), style_) + background(heat(*lower), style_) + repeat("▀", cell_);
  if (upper) return foreground(heat(*upper), style_) + repeat("▀", cell_);
  return lower ? foreground(heat(*lower), style_) + repeat("▄", cell_) : repeat(" ", cell_);
}

std::string Picture::coloured_row(size_t row, int first, int last) const {
  std::string line = margin(label(row));
  for (int column = first; column < last; ++column) {
    const Level lower = paired() ? level(row + 1, column) : std::nullopt;
    line += coloured_cell(level(row, column), lower) + reset(style_);
  }
  return line + '\n';
}

std::string Picture::block(int first, int last) const {
  std::string lines = ruler(first, last) + marks(first, last);
  const size_t step = paired() ? 2 : 1;
  for (size_t row = 0; row < map_.rows.size(); row += step) {
    lines += coloured() ? coloured_row(row, first, last) : shaded_row(row, first, last);
  }
  return lines;
}

std::string Picture::legend() const {
  const std::string start = margin("") + (coloured() ? "0 " : "0 |");
  std::string end = (coloured() ? " " : "| ") + (map_.as_percent ? format_percent(maximum_) : format_si(maximum_));
  if (has_gaps_ && !coloured()) end += "   x none";
  const int cells = std::clamp(style_.width - display_width(start + end), 1, legend_cells);
  std::string line = start;
  for (int i = 0; i < cells; ++i) {
    const double value = (i + 0.5) / cells;
    line += coloured() ? background(heat(value), style_) + ' ' : std::string(shade(value, style_));
  }
  line += reset(style_) + end + '\n';
  if (map_.marks.find_first_not_of(' ') == std::string::npos || map_.marks_meaning.empty()) return line;
  for (const std::string& text : wrap(printable(map_.marks_meaning), style_.width - label_width_ - column_gap)) {
    line += margin("") + text + '\n';
  }
  return line;
}

std::string Picture::draw() const {
  if (columns_ == 0) return "(nothing to show)\n";
  std::string lines;
  for (int first = 0; first < columns_; first += per_block_) {
    lines += block(first, std::min(first + per_block_, columns_));
  }
  return lines + legend();
}

}  // namespace

std::string draw_heatmap(const Heatmap& heatmap, const Style& style) {
  std::string lines;
  if (!heatmap.title.empty()) {
    for (const std::string& line : wrap(printable(heatmap.title), style.width)) lines += bold(line, style) + '\n';
  }
  return lines + Picture(heatmap, style).draw();
}

}  // namespace mformer::terminal
