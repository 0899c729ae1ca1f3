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

Rgb mix(const Rgb& from, const Rgb& to, double part) {
  const auto channel = [part](unsigned char a, unsigned char b) {
    return static_cast<unsigned char>(std::lround(a + part * (b - a)));
  };
  return {channel(from.red, to.red), channel(from.green, to.green), channel(from.blue, to.blue)};
}

// Of pictures with two sides: from dark grey to orange for less and to light blue for more, which are told apart with
// red-green blindness.
Rgb side(double level) {
  constexpr Rgb nothing{36, 36, 42}, less{255, 160, 60}, more{120, 190, 255};
  return mix(nothing, level < 0 ? less : more, std::abs(level));
}

Rgb heat(double level) {
  const double position = level * static_cast<double>(anchors.size() - 1);
  const size_t index = std::min(static_cast<size_t>(position), anchors.size() - 2);
  const double part = position - static_cast<double>(index);
  return mix(anchors[index], anchors[index + 1], part);
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
  using Level = std::optional<double>;  // 0..1, or -1..1; nothing where there is no module

  bool coloured() const { return style_.colour != Colour::none; }
  bool paired() const { return coloured() && style_.unicode && !marks_in_cells_; }
  Rgb colour(double level) const { return map_.two_sided ? side(level) : heat(level); }
  char mark(size_t row, int column) const;
  void look_at_marks();
  std::string number(double value) const;
  Level level(size_t row, int column) const;
  std::string label(size_t row) const;
  std::string margin(const std::string& text) const;
  std::string ruler(int first, int last) const;
  std::string marks(int first, int last) const;
  std::string shaded_row(size_t row, int first, int last) const;
  std::string coloured_row(size_t row, int first, int last) const;
  std::string coloured_cell(Level upper, Level lower) const;
  std::string marked_cell(double level, char mark) const;
  std::string block(int first, int last) const;
  std::string legend() const;

  const Heatmap& map_;
  const Style& style_;
  int columns_ = 0;
  double maximum_ = 0;
  bool has_gaps_ = false;        // a NaN among the values
  std::string column_marks_;     // where all rows agree
  bool marks_in_cells_ = false;  // where they don't
  int label_width_ = 0;
  int cell_ = 1;
  int per_block_ = 1;
};

Picture::Picture(const Heatmap& map, const Style& style) : map_(map), style_(style) {
  label_width_ = display_width(map.row_name);
  for (size_t row = 0; row < map.rows.size(); ++row) {
    columns_ = std::max(columns_, static_cast<int>(map.rows[row].values.size()));
    for (const double value : map.rows[row].values) {
      has_gaps_ = has_gaps_ || std::isnan(value);
      if (std::isfinite(value)) maximum_ = std::max(maximum_, std::abs(value));
    }
  }
  look_at_marks();
  for (size_t row = 0; row < map.rows.size(); ++row) label_width_ = std::max(label_width_, display_width(label(row)));
  if (map.scale_max > 0) maximum_ = map.scale_max;
  const int frame = coloured() ? 0 : 2;
  const int room = std::max(style.width - label_width_ - column_gap - frame, 1);
  const int least = coloured() ? 1 : 1 + (map.two_sided ? 1 : 0) + (marks_in_cells_ ? 1 : 0);
  const int fit = std::max(room / least, 1);
  const int blocks = std::max((columns_ + fit - 1) / fit, 1);
  per_block_ = std::max((columns_ + blocks - 1) / blocks, 1);
  cell_ = std::clamp(room / per_block_, least, widest_cell);
}

char Picture::mark(size_t row, int column) const {
  const std::string& marks = map_.rows[row].marks;
  return static_cast<size_t>(column) < marks.size() ? marks[static_cast<size_t>(column)] : ' ';
}

void Picture::look_at_marks() {
  for (int column = 0; column < columns_; ++column) {
    std::optional<char> agreed;
    for (size_t row = 0; row < map_.rows.size(); ++row) {
      if (static_cast<size_t>(column) >= map_.rows[row].values.size()) continue;
      marks_in_cells_ = marks_in_cells_ || agreed.value_or(mark(row, column)) != mark(row, column);
      agreed = mark(row, column);
    }
    column_marks_ += agreed.value_or(' ');
  }
}

Picture::Level Picture::level(size_t row, int column) const {
  if (row >= map_.rows.size()) return std::nullopt;
  const std::vector<double>& values = map_.rows[row].values;
  const auto index = static_cast<size_t>(column);
  if (index >= values.size() || std::isnan(values[index])) return std::nullopt;
  return maximum_ > 0 ? std::clamp(values[index] / maximum_, map_.two_sided ? -1.0 : 0.0, 1.0) : 0;
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
  if (marks_in_cells_) return "";
  std::string line = margin("") + (coloured() ? "" : " ");
  bool any = false;
  for (int column = first; column < last; ++column) {
    const char mark = column_marks_[static_cast<size_t>(column)];
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
    const std::string_view shown = value ? shade(std::abs(*value), style_) : "x";
    const bool is_blank = shown == " ";
    if (map_.two_sided) line += !value || is_blank ? ' ' : *value < 0 ? '-' : '+';
    line += repeat(shown, cell_ - (map_.two_sided ? 1 : 0) - (marks_in_cells_ ? 1 : 0));
    if (marks_in_cells_) line += mark(row, column);
  }
  return line + "|\n";
}

std::string Picture::coloured_cell(Level upper, Level lower) const {
  if (!paired()) return upper ? background(colour(*upper), style_) + repeat(" ", cell_) : repeat(" ", cell_);
  if (upper && lower)
    return foreground(colour(*upper), style_) + background(colour(*lower), style_) + repeat("▀", cell_);
  if (upper) return foreground(colour(*upper), style_) + repeat("▀", cell_);
  return lower ? foreground(colour(*lower), style_) + repeat("▄", cell_) : repeat(" ", cell_);
}

// The mark in black or white, whichever can be read on the cell.
std::string Picture::marked_cell(double level, char mark) const {
  const Rgb fill = colour(level);
  const bool bright = 299 * fill.red + 587 * fill.green + 114 * fill.blue > 128'000;
  const Rgb ink = bright ? Rgb{0, 0, 0} : Rgb{255, 255, 255};
  return foreground(ink, style_) + background(fill, style_) + mark + repeat(" ", cell_ - 1) + reset(style_);
}

std::string Picture::coloured_row(size_t row, int first, int last) const {
  std::string line = margin(label(row));
  for (int column = first; column < last; ++column) {
    if (marks_in_cells_ && level(row, column) && mark(row, column) != ' ') {
      line += marked_cell(*level(row, column), mark(row, column));
      continue;
    }
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

std::string Picture::number(double value) const {
  const std::string text = map_.as_percent ? format_percent(value) : format_si(value);
  return map_.two_sided && value > 0 ? '+' + text : text;
}

std::string Picture::legend() const {
  const std::string bar = coloured() ? "" : "|";
  std::string start = margin("") + (map_.two_sided ? number(-maximum_) : "0") + ' ' + bar;
  std::string end = bar + ' ' + number(maximum_);
  if (has_gaps_ && !coloured()) end += "   x none";
  if (display_width(start + end) >= style_.width) start = margin("") + bar;
  // The number in the middle, where there is room for it.
  std::string middle = ' ' + (map_.two_sided ? "0" : number(maximum_ / 2)) + ' ';
  const int room = style_.width - display_width(start + end);
  if (maximum_ <= 0 || room < legend_cells / 2 + display_width(middle)) middle.clear();
  const int cells = std::clamp(room - display_width(middle), 1, legend_cells);
  std::string line = start;
  for (int i = 0; i < cells; ++i) {
    if (i == cells / 2) line += reset(style_) + middle;
    const double value = map_.two_sided ? 2 * (i + 0.5) / cells - 1 : (i + 0.5) / cells;
    line += coloured() ? background(colour(value), style_) + ' ' : std::string(shade(std::abs(value), style_));
  }
  line += reset(style_) + end + '\n';
  const bool marked = marks_in_cells_ || column_marks_.find_first_not_of(' ') != std::string::npos;
  if (!marked || map_.marks_meaning.empty()) return line;
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
