#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/terminal/style.h"

namespace mformer::terminal {

/// A table for other programs: titles, then rows of as many cells, `right` saying which columns hold numbers.
/// csv: RFC 4180 with line feeds, numbers without thousands separators. markdown: a pipe table. latex: a tabular with
/// \\hline, which needs no package. `format` is none of text. Between the marks by which only_tables() finds it.
std::string formatted_table(TableFormat format, const std::vector<std::string>& titles,
                            const std::vector<std::vector<std::string>>& rows, const std::vector<bool>& right);

/// Of a report's text the tables that formatted_table() made, an empty line between them; "" where it has none.
std::string only_tables(std::string_view text);

}  // namespace mformer::terminal
