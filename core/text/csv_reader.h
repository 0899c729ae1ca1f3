#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/text/text_stream.h"

namespace mformer {

/// The rows of a table as RFC 4180 has it: cells in double quotes may hold separators, line ends and doubled quotes.
/// The first row names the columns.
class CsvReader {
 public:
  /// Of a table with commas whose head has semicolons alone, the separator is the semicolon.
  CsvReader(TextStream& stream, char separator);

  /// A row as an object: text by column, null for an empty cell.
  struct Row {
    nlohmann::json record;
    int64_t line = 1;     ///< on which it begins
    std::string problem;  ///< instead of a record, as Record::problem
  };
  /// The next row that is not blank; false after the last.
  bool next(Row& row);

 private:
  bool read_cells();

  TextStream& stream_;
  char separator_;
  std::vector<std::string> head_, cells_;
  int64_t line_ = 1;
  std::size_t row_bytes_ = 0;
  bool cut_ = false;  ///< A quote of the last row was never closed.
};

}  // namespace mformer
