#pragma once

#include <string>
#include <string_view>

namespace mformer {

/// The document of one line of a .jsonl file.
struct JsonLine {
  std::string text;
  size_t prompt_bytes = 0;
};

/// Reads {"text"}, {"prompt", "completion"} or {"question", "answer"}, the first of these that is there; other fields
/// don't matter. `where` ("file:line") is for messages. Throws Error when the line is no JSON object or has none of
/// these.
JsonLine parse_json_line(std::string_view line, const std::string& where);

}  // namespace mformer
