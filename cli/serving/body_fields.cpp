#include "cli/serving/body_fields.h"

#include <utility>

#include "cli/serving/api_error.h"

namespace mformer::cli {
namespace {

constexpr int kDeepestBody = 16;

/// What a sentence says of a name that a client made up.
std::string short_name(const std::string& name) {
  return name.size() <= 60 ? name : name.substr(0, 60) + "...";
}

}  // namespace

nlohmann::json body_object(const std::string& body) {
  const auto look = [](int depth, nlohmann::json::parse_event_t /*event*/, nlohmann::json& /*value*/) {
    if (depth > kDeepestBody) throw ApiError(400, "the body is nested too deeply");
    return true;
  };
  try {
    nlohmann::json object = nlohmann::json::parse(body, look);
    if (object.is_object()) return object;
  } catch (const nlohmann::json::exception&) {
    throw ApiError(400, "the body is no JSON");
  }
  throw ApiError(400, "the body is no JSON object");
}

BodyFields::BodyFields(const nlohmann::json& object, std::string where) : object_(object), where_(std::move(where)) {}

void BodyFields::refuse(const std::string& name, const std::string& what) const {
  throw ApiError(400, "'" + where_ + name + "' " + what);
}

const nlohmann::json* BodyFields::find(const std::string& name) {
  asked_.insert(name);
  const auto found = object_.find(name);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

std::optional<bool> BodyFields::boolean(const std::string& name) {
  const nlohmann::json* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_boolean()) refuse(name, "must be true or false");
  return value->get<bool>();
}

std::optional<double> BodyFields::number(const std::string& name, double least, double most) {
  const nlohmann::json* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (value->is_number() && value->get<double>() >= least && value->get<double>() <= most) return value->get<double>();
  std::string range = nlohmann::json(least).dump() + " to " + nlohmann::json(most).dump();
  refuse(name, "must be a number from " + range);
}

std::optional<std::int64_t> BodyFields::integer(const std::string& name, std::int64_t least, std::int64_t most) {
  const nlohmann::json* value = find(name);
  if (value == nullptr) return std::nullopt;
  const bool fits =
      value->is_number_integer() && !(value->is_number_unsigned() && value->get<std::uint64_t>() > INT64_MAX);
  if (fits && value->get<std::int64_t>() >= least && value->get<std::int64_t>() <= most)
    return value->get<std::int64_t>();
  refuse(name, "must be a whole number from " + std::to_string(least) + " to " + std::to_string(most));
}

std::optional<std::string> BodyFields::text(const std::string& name) {
  const nlohmann::json* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) refuse(name, "must be a text");
  return value->get<std::string>();
}

std::vector<std::string> BodyFields::texts(const std::string& name) {
  const nlohmann::json* value = find(name);
  if (value == nullptr) return {};
  if (value->is_string()) return {value->get<std::string>()};
  if (!value->is_array()) refuse(name, "must be a text or a list of texts");
  std::vector<std::string> all;
  for (const nlohmann::json& one : *value) {
    if (!one.is_string()) refuse(name, "must be a text or a list of texts");
    all.push_back(one.get<std::string>());
  }
  return all;
}

void BodyFields::only(const std::string& name, const nlohmann::json& value, const std::string& otherwise) {
  const nlohmann::json* given = find(name);
  if (given == nullptr || *given == value || (given->is_structured() && given->empty())) return;
  refuse(name, otherwise);
}

void BodyFields::end() const {
  for (const auto& [name, value] : object_.items()) {
    if (asked_.count(name) == 0) refuse(short_name(name), "is not a field that this server knows");
  }
}

}  // namespace mformer::cli
