#include "core/text/csv_reader.h"

#include <algorithm>
#include <utility>

#include "core/text/record_source.h"
#include "core/text/utf8.h"

namespace mformer {
namespace {

/// An empty cell is one byte of a file and 32 in memory.
constexpr std::size_t kMostCells = 65'536;

}  // namespace

CsvReader::CsvReader(TextStream& stream, char separator) : stream_(stream), separator_(separator) {
  constexpr std::size_t kHead = 64UL << 10U;
  const std::string_view look = stream.peek(kHead);
  const std::string_view head = look.substr(0, look.find('\n'));
  const bool has_separator = head.find(separator) != std::string_view::npos;
  if (separator == ',' && !has_separator && head.find(';') != std::string_view::npos) separator_ = ';';
  read_cells();
  head_ = cells_;
}

/// Fills cells_ with the next row; false at the end.
bool CsvReader::read_cells() {
  cells_.assign(1, "");
  row_bytes_ = 0;
  bool quoted = false, closed = false;
  while (true) {
    const std::string_view text = stream_.peek(2);
    if (text.empty()) {
      cut_ = quoted;
      return row_bytes_ > 0;
    }
    const char c = text[0];
    std::size_t used = 1;
    std::string& cell = cells_.back();
    if (quoted && c == '"' && text.size() > 1 && text[1] == '"') {
      cell += '"';
      used = 2;
    } else if (c == '"' && (quoted || (cell.empty() && !closed))) {
      closed = std::exchange(quoted, !quoted);
    } else if (!quoted && c == separator_) {
      if (cells_.size() <= kMostCells) cells_.emplace_back();
      cells_.back().clear();  // of one too many nothing is kept
      closed = false;
    } else if (!quoted && c == '\n') {
      stream_.consume(1);
      if (!closed && cell.ends_with('\r')) cell.pop_back();
      return true;
    } else if (row_bytes_ < RecordSource::kLongest && !(closed && c == '\r')) {
      cell += c;
    }
    line_ += c == '\n' ? 1 : 0;
    row_bytes_ += used;
    stream_.consume(used);
  }
}

bool CsvReader::next(Row& row) {
  do {
    row = {nlohmann::json::object(), ++line_, ""};
    if (!read_cells()) return false;
  } while (cells_.size() == 1 && cells_[0].empty());
  if (row_bytes_ >= RecordSource::kLongest) {
    row.problem = "is longer than 64 MiB";
  } else if (cells_.size() > kMostCells) {
    row.problem = "has more than " + std::to_string(kMostCells) + " cells";
  } else if (cut_) {
    row.problem = "has a quote that is never closed";
  } else if (cells_.size() != head_.size()) {
    row.problem =
        "has " + std::to_string(cells_.size()) + " cells, and there are " + std::to_string(head_.size()) + " columns";
  }
  for (std::size_t i = 0; row.problem.empty() && i < head_.size(); ++i) {
    if (cells_[i].empty()) {
      row.record[head_[i]] = nullptr;
    } else {
      row.record[head_[i]] = replace_invalid_utf8(cells_[i]);
    }
  }
  return true;
}

}  // namespace mformer
