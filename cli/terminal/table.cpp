#include "cli/terminal/table.h"

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "cli/terminal/table_formats.h"
#include "cli/terminal/text.h"

namespace mformer::terminal {
namespace {

constexpr int narrowest_text = 12;      // below that, wrapped words are harder to read than a block for each row
constexpr int longest_whole_word = 24;  // longer ones are paths and hashes, which may be cut

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

int gaps(const Layout& layout) {
  return column_gap * (static_cast<int>(layout.widths.size()) - 1);
}

int width_of(const Layout& layout) {
  return std::accumulate(layout.widths.begin(), layout.widths.end(), gaps(layout));
}

int longest_word(std::string_view text) {
  int longest = 0;
  while (!text.empty()) {
    const size_t end = std::min(text.find(' '), text.size());
    longest = std::max(longest, display_width(text.substr(0, end)));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return longest;
}

/// How narrow a column may become: numbers stay whole, and words up to a length at which a path is cut.
int least_width(const Layout& layout, size_t column, const Column& title, const std::vector<Cells>& rows) {
  if (layout.right[column]) return layout.widths[column];
  int word = std::max(narrowest_text, longest_word(title.title));
  for (const Cells& row : rows) {
    if (!row.empty()) word = std::max(word, longest_word(row[column]));
  }
  return std::min({word, longest_whole_word, layout.widths[column]});
}

/// Takes columns of width away from the widest text columns until the table fits, as far as that is readable.
void fit(Layout& layout, const std::vector<Column>& columns, const std::vector<Cells>& rows, int width) {
  std::vector<int> least;
  for (size_t i = 0; i < columns.size(); ++i) least.push_back(least_width(layout, i, columns[i], rows));
  for (int excess = width_of(layout) - width; excess > 0; --excess) {
    size_t victim = layout.widths.size();
    for (size_t i = 0; i < layout.widths.size(); ++i) {
      if (layout.widths[i] <= least[i]) continue;
      if (victim == layout.widths.size() || layout.widths[i] > layout.widths[victim]) victim = i;
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
  if (style.terminal && width_of(layout) > style.width) fit(layout, columns, rows, style.width);
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

/// A block for each row, for a window in which the columns can't stand side by side.
std::string blocks(const std::vector<Column>& columns, const std::vector<Cells>& rows, const Style& style) {
  int names = 0;
  for (const Column& column : columns) names = std::max(names, display_width(column.title));
  const int room = std::max(style.width - names - column_gap, 1);
  std::string text;
  for (const Cells& row : rows) {
    if (row.empty()) continue;
    if (!text.empty()) text += '\n';
    for (size_t i = 0; i < columns.size(); ++i) {
      std::string name = pad_right(columns[i].title, names);
      for (const std::string& piece : wrap(row[i], room)) {
        std::string line = bold(name, style) + std::string(column_gap, ' ') + piece;
        trim_right(line);
        text += line + '\n';
        name.assign(static_cast<size_t>(names), ' ');
      }
    }
  }
  return text;
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
  if (style.tables != TableFormat::text) {
    std::vector<Cells> rows = rows_;
    std::erase_if(rows, [](const Cells& row) { return row.empty(); });
    return formatted_table(style.tables, titles, rows, layout.right);
  }
  if (style.terminal && width_of(layout) > style.width && !rows_.empty()) return blocks(columns_, rows_, style);
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
