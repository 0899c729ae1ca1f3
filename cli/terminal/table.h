#pragma once

#include <string>
#include <vector>

#include "cli/terminal/style.h"

namespace mformer::terminal {

enum class Align {
  automatic,  ///< right when every cell looks like a number (a digit, a sign, "n/a", "-"), left otherwise
  left,
  right,
};

struct Column {
  std::string title;
  Align align = Align::automatic;
};

/// A table of aligned columns.
///
///     Table table({{"task"}, {"loss"}, {"change"}});
///     table.add_row({"qa", format_fixed(loss), format_signed(change)});
///     report.text() << table.str(report.style());
///
///     task    loss   change
///     ----  ------  -------
///     qa    3.2145  +0.0003
///
/// On a terminal the header is bold, the rule a line, and text columns are wrapped between words when the table is
/// wider than the window; where even that is too wide, each row becomes a block of lines "title  cell". Elsewhere
/// nothing is wrapped: one row stays one line for grep. Cells are made printable (text.h).
class Table {
 public:
  explicit Table(std::vector<Column> columns);

  /// `cells`: one per column, in UTF-8. Throws std::logic_error when their number differs.
  void add_row(std::vector<std::string> cells);

  /// A rule after the rows so far, before totals for example.
  void add_rule();

  bool empty() const { return rows_.empty(); }

  /// The whole table, a line feed at the end of each line and no spaces before it; in another form where the style has
  /// one (table_formats.h), without rules between rows.
  std::string str(const Style& style) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;  // a row without cells is a rule
};

}  // namespace mformer::terminal
