#include "core/text/json_lines.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "modules_registry/error.h"

namespace mformer {
namespace {

constexpr const char* kHint =
    R"(a line is {"text": …}, {"prompt": …, "completion": …} or {"question": …, "answer": …})";

std::string text_field(const nlohmann::json& object, const char* name, const std::string& where) {
  const auto& value = object.at(name);
  if (value.is_string()) return value.get<std::string>();
  throw Error(where + ": the field '" + name + "' is no text", kHint);
}

}  // namespace

JsonLine parse_json_line(std::string_view line, const std::string& where) {
  nlohmann::json object;
  try {
    object = nlohmann::json::parse(line);
  } catch (const nlohmann::json::exception& error) {
    throw Error(where + ": the line is not JSON: " + error.what(), kHint);
  }
  if (!object.is_object()) throw Error(where + ": the line is no JSON object", kHint);
  const auto field = [&](const char* name) { return text_field(object, name, where); };
  if (object.contains("text")) return {field("text"), 0};
  if (object.contains("prompt") && object.contains("completion")) {
    std::string prompt = field("prompt") + "\n";
    const size_t length = prompt.size();
    return {std::move(prompt) + field("completion"), length};
  }
  if (object.contains("question") && object.contains("answer")) {
    std::string prompt = "Q: " + field("question") + "\nA:";
    const size_t length = prompt.size();
    return {std::move(prompt) + " " + field("answer"), length};
  }
  throw Error(where + ": the line has neither 'text', nor 'prompt' and 'completion', nor 'question' and 'answer'",
              kHint);
}

}  // namespace mformer
