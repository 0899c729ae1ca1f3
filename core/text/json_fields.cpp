#include "core/text/json_fields.h"

#include <algorithm>
#include <utility>

#include "core/text/utf8.h"
#include "modules_registry/error.h"
#include "modules_registry/printable.h"

namespace mformer {

std::string cut(std::string_view text, size_t most) {
  if (text.size() <= most) return std::string(text);
  return std::string(text.substr(0, utf8_valid_prefix(text.substr(0, most)))) + "…";
}

JsonFields::JsonFields(const nlohmann::json& value, std::string file, std::string path)
    : value_(value), file_(std::move(file)), path_(std::move(path)) {
  if (!value_.is_object()) {
    throw Error("'" + file_ + "': " + (path_.empty() ? "the file" : printable(cut(path_, 200))) +
                " is no JSON object, but " + shown(value));
  }
}

std::string JsonFields::path_of(std::string_view name) const {
  return path_.empty() ? std::string(name) : path_ + "." + std::string(name);
}

const nlohmann::json& JsonFields::at(std::string_view name) const {
  static const nlohmann::json kMissing;
  const auto found = value_.find(std::string(name));
  return found == value_.end() ? kMissing : *found;
}

JsonFields JsonFields::object(std::string_view name) const {
  return {at(name), file_, path_of(name)};
}

bool JsonFields::flag(std::string_view name, bool fallback) const {
  const auto& value = at(name);
  if (value.is_null()) return fallback;
  if (!value.is_boolean()) refuse(name, "must be true or false, not " + shown(value));
  return value.get<bool>();
}

std::string JsonFields::text(std::string_view name, const std::string& fallback) const {
  const auto& value = at(name);
  if (value.is_null()) return fallback;
  if (!value.is_string()) refuse(name, "must be a text, not " + shown(value));
  return value.get<std::string>();
}

void JsonFields::allow_only(std::initializer_list<std::string_view> names) const {
  for (const auto& [name, value] : value_.items()) {
    if (!value.is_null() && std::ranges::find(names, name) == names.end()) refuse(name, "is not supported");
  }
}

void JsonFields::refuse(std::string_view name, const std::string& problem) const {
  // Names and values of the file, in the path too, may be long and hold what a terminal obeys.
  throw Error("'" + file_ + "': " + printable(cut(path_of(name), 200)) + " " + printable(cut(problem, 500)),
              "docs/tokenizer.md lists what is supported");
}

std::string shown(const nlohmann::json& value) {
  // A list or object is not written out: it may be as deep and as long as a file.
  if (value.is_array()) return "a list of " + std::to_string(value.size());
  if (value.is_object()) return "an object of " + std::to_string(value.size());
  // JSON leaves DEL and what reorders text as it is.
  return printable(cut(value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace), 60));
}

}  // namespace mformer
