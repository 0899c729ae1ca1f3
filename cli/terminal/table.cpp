#include "cli/terminal/table.h"

#include <algorithm>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "cli/terminal/text.h"

namespace mformer::terminal {
namespace {

constexpr int narrowest_text = 12;  // below that, wrapped words are harder to read than a long line

using Cells = std::vector<std::string>;

bool looks_like_number(std::string_view cell) {
  if (cell.empty() || cell == "-" || cell == "n/a") return true;
  if (cell.front() == '+' || cell.front() == '-') cell.remove_prefix(1);
  return !cell.empty() && cell.front() >= '0' && cell.front() <= '9';
}

bool aligned_right(const Column& column, size_t index, const std::vector<Cells>& rows) {
  if (column.align != Align::automatic) return column.align == Align::right;
  bool any = false;
  for (const Cells& row : rows) {
    if (row.empty()) continue;
    if (!looks_like_number(row[index])) return false;
    any = any || !row[index].empty();
  }
  return any;
}

struct Layout {
  std::vector<int> widths;
  std::vector<bool> right;
};

// Takes columns of width away from the widest text columns until the table fits, as far as that is readable.
void fit(Layout& layout, int width) {
  int excess = column_gap * (static_cast<int>(layout.widths.size()) - 1) - width;
  for (const int column : layout.widths) excess += column;
  for (; excess > 0; --excess) {
    int widest = narrowest_text;
    size_t victim = layout.widths.size();
    for (size_t i = 0; i < layout.widths.size(); ++i) {
      if (layout.right[i] || layout.widths[i] <= widest) continue;
      widest = layout.widths[i];
      victim = i;
    }
    if (victim == layout.widths.size()) return;
    --layout.widths[victim];
  }
}

Layout lay_out(const std::vector<Column>& columns, const std::vector<Cells>& rows, const Style& style) {
  Layout layout;
  for (size_t i = 0; i < columns.size(); ++i) {
    int width = display_width(columns[i].title);
    for (const Cells& row : rows) {
      if (!row.empty()) width = std::max(width, display_width(row[i]));
    }
    layout.widths.push_back(width);
    layout.right.push_back(aligned_right(columns[i], i, rows));
  }
  if (style.terminal) fit(layout, style.width);
  return layout;
}

// The lines of one row: as many as its most wrapped cell needs.
std::vector<std::string> row_lines(const Cells& cells, const Layout& layout) {
  std::vector<std::vector<std::string>> wrapped;
  size_t height = 1;
  for (size_t i = 0; i < cells.size(); ++i) {
    wrapped.push_back(wrap(cells[i], std::max(layout.widths[i], 1)));
    height = std::max(height, wrapped.back().size());
  }
  std::vector<std::string> lines(height);
  for (size_t line = 0; line < height; ++line) {
    for (size_t i = 0; i < cells.size(); ++i) {
      if (i > 0) lines[line].append(column_gap, ' ');
      const std::string piece = line < wrapped[i].size() ? wrapped[i][line] : "";
      lines[line] += layout.right[i] ? pad_left(piece, layout.widths[i]) : pad_right(piece, layout.widths[i]);
    }
    trim_right(lines[line]);
  }
  return lines;
}

std::string rule(const Layout& layout, const Style& style) {
  const bool drawn = style.terminal && style.unicode;
  std::string line;
  for (size_t i = 0; i < layout.widths.size(); ++i) {
    if (i > 0) line.append(column_gap, ' ');
    for (int column = 0; column < layout.widths[i]; ++column) line += drawn ? "─" : "-";
  }
  trim_right(line);
  return line + '\n';
}

}  // namespace

Table::Table(std::vector<Column> columns) : columns_(std::move(columns)) {
  if (columns_.empty()) throw std::logic_error("a table needs columns");
}

void Table::add_row(std::vector<std::string> cells) {
  if (cells.size() != columns_.size()) throw std::logic_error("a table row needs one cell per column");
  for (std::string& cell : cells) cell = printable(cell);
  rows_.push_back(std::move(cells));
}

void Table::add_rule() {
  rows_.emplace_back();
}

std::string Table::str(const Style& style) const {
  const Layout layout = lay_out(columns_, rows_, style);
  Cells titles;
  for (const Column& column : columns_) titles.push_back(column.title);
  std::string text;
  for (const std::string& line : row_lines(titles, layout)) text += bold(line, style) + '\n';
  text += rule(layout, style);
  for (const Cells& row : rows_) {
    if (row.empty()) {
      text += rule(layout, style);
      continue;
    }
    for (const std::string& line : row_lines(row, layout)) text += line + '\n';
  }
  return text;
}

}  // namespace mformer::terminal
