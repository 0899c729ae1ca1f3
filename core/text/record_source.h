#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/text/text_stream.h"

namespace mformer {

/// One JSON text of a file, not yet read.
struct RawRecord {
  std::string_view text;         ///< valid until the next one is asked for
  int64_t line = 1, column = 1;  ///< of its first byte in the file, both from 1, columns in bytes
  std::string problem;           ///< instead of a text: half a sentence, why there is none
};

/// The records of a file, one after the other. Throws Error when the file can't be read.
class RecordSource {
 public:
  /// A record longer than this is left out.
  static constexpr std::size_t kLongest = 64UL << 20U;

  virtual ~RecordSource() = default;
  /// The next one; false after the last.
  virtual bool next(RawRecord& record) = 0;
};

/// Every line that is not blank.
class LineSource : public RecordSource {
 public:
  explicit LineSource(TextStream& stream) : stream_(stream) {}
  bool next(RawRecord& record) override;

 private:
  TextStream& stream_;
  std::size_t used_ = 0;
  int64_t line_ = 0;
};

/// The elements of a JSON array, or where there is none the JSON texts of a file one after the other, each over any
/// number of lines.
class ValueSource : public RecordSource {
 public:
  explicit ValueSource(TextStream& stream) : stream_(stream) {}
  bool next(RawRecord& record) override;

 private:
  void skip(std::size_t bytes);
  /// Goes on to the next byte that is no space, which it returns; 0 at the end.
  char next_byte();
  std::size_t length_of_value();
  bool end(RawRecord& record, std::string problem);

  TextStream& stream_;
  std::size_t used_ = 0;
  int64_t line_ = 1, column_ = 1;
  bool started_ = false, array_ = false, ended_ = false;
};

/// Whether a stream's beginning is a JSON text on a line of its own, as in a file of lines; consumes nothing.
bool begins_with_a_json_line(TextStream& stream);

}  // namespace mformer
