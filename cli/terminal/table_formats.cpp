#include "cli/terminal/table_formats.h"

#include <algorithm>
#include <cctype>

namespace mformer::terminal {
namespace {

// Cells are printable, so no table holds them.
constexpr char table_start = '\x02';
constexpr char table_end = '\x03';

bool is_digit(char letter) {
  return std::isdigit(static_cast<unsigned char>(letter)) != 0;
}

/// "12,288" and "-1,024.5", which a reader of CSV would take for text.
bool has_separators(std::string_view cell) {
  if (!cell.empty() && (cell.front() == '+' || cell.front() == '-')) cell.remove_prefix(1);
  const std::size_t whole = std::min(cell.find('.'), cell.size());
  if (cell.find(',') == std::string_view::npos || whole == 0) return false;
  for (std::size_t i = 0; i < cell.size(); ++i) {
    const bool separates = i < whole && (whole - i) % 4 == 0 && i > 0;
    if (separates ? cell[i] != ',' : !is_digit(cell[i]) && i != whole) return false;
  }
  return true;
}

std::string csv_cell(std::string cell) {
  if (has_separators(cell)) std::erase(cell, ',');
  if (cell.find_first_of("\",\r\n") == std::string::npos) return cell;
  std::string quoted = "\"";
  for (const char letter : cell) quoted += letter == '"' ? std::string("\"\"") : std::string(1, letter);
  return quoted + '"';
}

std::string markdown_cell(const std::string& cell) {
  std::string text;
  for (const char letter : cell) {
    if (letter == '|' || letter == '\\') text += '\\';
    text += letter;
  }
  return text;
}

std::string latex_cell(const std::string& cell) {
  std::string text;
  for (const char letter : cell) {
    if (std::string_view("&%$#_{}").find(letter) != std::string_view::npos) text += '\\';
    if (letter == '\\') {
      text += "\\textbackslash{}";
    } else if (letter == '~') {
      text += "\\textasciitilde{}";
    } else if (letter == '^') {
      text += "\\textasciicircum{}";
    } else {
      text += letter;
    }
  }
  return text;
}

template <typename Escape>
std::string line(const std::vector<std::string>& cells, const Escape& escape, std::string_view start,
                 std::string_view between, std::string_view end) {
  std::string text(start);
  for (std::size_t i = 0; i < cells.size(); ++i) text += (i > 0 ? std::string(between) : "") + escape(cells[i]);
  return text.append(end);
}

std::string markdown_rule(const std::vector<bool>& right) {
  std::string text = "|";
  for (const bool number : right) text += number ? "---:|" : "---|";
  return text + '\n';
}

std::string latex_head(const std::vector<bool>& right) {
  std::string columns;
  for (const bool number : right) columns += number ? 'r' : 'l';
  return "\\begin{tabular}{" + columns + "}\n\\hline\n";
}

}  // namespace

std::string formatted_table(TableFormat format, const std::vector<std::string>& titles,
                            const std::vector<std::vector<std::string>>& rows, const std::vector<bool>& right) {
  const auto row = [&](const std::vector<std::string>& cells) -> std::string {
    if (format == TableFormat::csv) return line(cells, csv_cell, "", ",", "\n");
    if (format == TableFormat::markdown) return line(cells, markdown_cell, "| ", " | ", " |\n");
    return line(cells, latex_cell, "", " & ", " \\\\\n");
  };
  std::string text(1, table_start);
  if (format == TableFormat::latex) text += latex_head(right);
  text += row(titles);
  if (format == TableFormat::markdown) text += markdown_rule(right);
  if (format == TableFormat::latex) text += "\\hline\n";
  for (const std::vector<std::string>& cells : rows) text += row(cells);
  if (format == TableFormat::latex) text += "\\hline\n\\end{tabular}\n";
  return text + table_end;
}

std::string only_tables(std::string_view text) {
  std::string tables;
  while (true) {
    const std::size_t start = text.find(table_start), end = text.find(table_end, std::min(start, text.size()));
    if (start == std::string_view::npos || end == std::string_view::npos) return tables;
    if (!tables.empty()) tables += '\n';
    tables += text.substr(start + 1, end - start - 1);
    text.remove_prefix(end + 1);
  }
}

}  // namespace mformer::terminal
