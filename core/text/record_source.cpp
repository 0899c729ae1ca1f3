#include "core/text/record_source.h"

#include <algorithm>
#include <utility>

#include "core/text/lenient_json.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

constexpr std::size_t kFirstLook = 64UL << 10U;

bool is_blank(std::string_view line) {
  return line.find_first_not_of(" \t\r") == std::string_view::npos;
}

/// Bytes of the stream before the next line feed or its end; more than `most` where there is none so early.
std::size_t line_length(TextStream& stream, std::size_t most) {
  std::size_t seen = 0;
  for (std::size_t want = kFirstLook;; want *= 2) {
    const std::string_view text = stream.peek(want);
    const std::size_t feed = text.find('\n', seen);
    if (feed != std::string_view::npos) return feed;
    if (text.size() < want || text.size() > most) return text.size();
    seen = text.size();
  }
}

}  // namespace

bool LineSource::next(RawRecord& record) {
  while (true) {
    stream_.consume(std::exchange(used_, 0));
    if (stream_.peek(1).empty()) return false;
    ++line_;
    std::size_t length = line_length(stream_, kLongest);
    record = {{}, line_, 1, ""};
    if (length > kLongest) record.problem = "is longer than 64 MiB";
    while (length > kLongest) {  // what follows of it is passed by, not kept
      stream_.consume(length);
      length = line_length(stream_, kLongest);
    }
    used_ = std::min(length + 1, stream_.peek(length + 1).size());
    record.text = stream_.peek(used_).substr(0, length);
    if (!record.problem.empty() || !is_blank(record.text)) return true;
  }
}

void ValueSource::skip(std::size_t bytes) {
  const std::string_view text = stream_.peek(bytes).substr(0, bytes);
  line_ += std::ranges::count(text, '\n');
  const std::size_t feed = text.rfind('\n');
  column_ = static_cast<int64_t>(feed == std::string_view::npos ? static_cast<std::size_t>(column_) + bytes
                                                                : text.size() - feed);
  stream_.consume(bytes);
}

char ValueSource::next_byte() {
  while (true) {
    const std::string_view text = stream_.peek(1);
    if (text.empty()) return 0;
    const std::size_t spaces = std::min(text.find_first_not_of(" \t\r\n"), text.size());
    if (spaces < text.size()) {
      const char found = text[spaces];
      skip(spaces);
      return found;
    }
    skip(spaces);
  }
}

/// A value of brackets ends with the last of them, any other one before the next space, comma or bracket outside of
/// quotes.
std::size_t ValueSource::length_of_value() {
  std::size_t at = 0, depth = 0;
  bool quoted = false, escaped = false;
  for (std::size_t want = kFirstLook;; want *= 2) {
    const std::string_view text = stream_.peek(want);
    for (; at < text.size(); ++at) {
      const char c = text[at];
      if (quoted) {
        quoted = escaped || c != '"';
        escaped = !escaped && c == '\\';
      } else if (c == '"') {
        quoted = true;
      } else if (c == '{' || c == '[') {
        ++depth;
      } else if (c == '}' || c == ']') {
        if (depth <= 1) return at + depth;
        --depth;
      } else if (depth == 0 && at > 0 && (c == ',' || c == ' ' || c == '\n' || c == '\r' || c == '\t')) {
        return at;
      }
    }
    if (text.size() < want) return at;
    if (at > kLongest) {
      throw Error("a record that begins on line " + std::to_string(line_) + " is longer than 64 MiB",
                  "is a quote or a bracket missing? one record a line in a .jsonl file harms no other");
    }
  }
}

bool ValueSource::end(RawRecord& record, std::string problem) {
  record = {{}, line_, column_, std::move(problem)};
  return !std::exchange(ended_, true) && !record.problem.empty();
}

bool ValueSource::next(RawRecord& record) {
  if (ended_) return false;
  skip(std::exchange(used_, 0));
  char byte = next_byte();
  if (!std::exchange(started_, true) && byte == '[') {
    array_ = true;
    skip(1);
    byte = next_byte();
  }
  while (array_ && byte == ',') {
    skip(1);
    byte = next_byte();
  }
  if (array_ && byte == ']') {
    skip(1);
    return end(record, next_byte() == 0 ? "" : "goes on after the end of the array");
  }
  if (byte == 0) return end(record, array_ ? "ends inside the array" : "");
  used_ = std::max<std::size_t>(1, length_of_value());
  record = {stream_.peek(used_).substr(0, used_), line_, column_, ""};
  return true;
}

bool begins_with_a_json_line(TextStream& stream) {
  const std::size_t length = line_length(stream, RecordSource::kLongest);
  if (length > RecordSource::kLongest) return false;
  const std::string_view line = stream.peek(length).substr(0, length);
  return line.starts_with('{') && read_lenient_json(line).problem.empty();
}

}  // namespace mformer
