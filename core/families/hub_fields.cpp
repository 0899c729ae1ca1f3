#include "core/families/hub_fields.h"

#include <cmath>

#include "core/formats/quoted_name.h"
#include "modules_registry/error.h"
#include "modules_registry/printable.h"

namespace mformer {

using nlohmann::json;

bool HubFields::contains(const char* field) const {
  return document_.contains(field);
}

bool HubFields::has(const char* field) const {
  const auto found = document_.find(field);
  return found != document_.end() && !found->is_null();
}

json HubFields::take(const char* field) {
  const auto found = document_.find(field);
  if (found == document_.end()) return nullptr;
  json value = std::move(*found);
  document_.erase(found);
  return value;
}

std::int64_t HubFields::count(const char* field) {
  if (!has(field)) fail("'" + std::string(field) + "' is missing", "is it the model's own config.json?");
  return count(field, 0);
}

std::int64_t HubFields::count(const char* field, std::int64_t otherwise) {
  const json value = take(field);
  if (value.is_null()) return otherwise;
  constexpr std::uint64_t kMost = std::uint64_t{1} << 31U;  // products of two are no overflow
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() > kMost)
    fail_type(field, value, "a whole number from 0 to 2147483648");
  return value.get<std::int64_t>();
}

double HubFields::number(const char* field, double otherwise) {
  const json value = take(field);
  if (value.is_null()) return otherwise;
  if (!value.is_number() || !std::isfinite(value.get<double>())) fail_type(field, value, "a number");
  return value.get<double>();
}

bool HubFields::truth(const char* field, bool otherwise) {
  const json value = take(field);
  if (value.is_null()) return otherwise;
  if (!value.is_boolean()) fail_type(field, value, "true or false");
  return value.get<bool>();
}

std::string HubFields::text(const char* field, const std::string& otherwise) {
  const json value = take(field);
  if (value.is_null()) return otherwise;
  if (!value.is_string()) fail_type(field, value, "a string");
  return value.get<std::string>();
}

std::vector<std::int64_t> HubFields::counts(const char* field) {
  const json value = take(field);
  std::vector<std::int64_t> all;
  if (value.is_null()) return all;
  if (!value.is_array()) fail_type(field, value, "a list of whole numbers");
  for (const json& entry : value) {
    if (!entry.is_number_unsigned() || entry.get<std::uint64_t>() > (1U << 30U)) {
      fail_type(field, value, "a list of whole numbers");
    }
    all.push_back(entry.get<std::int64_t>());
  }
  return all;
}

void HubFields::require(const char* field, const json& only) {
  const json value = take(field);
  if (value.is_null() || value == only) return;
  fail("'" + std::string(field) + "' is " + printable(shortened(value.dump(), 60)),
       "mformer computes such models only where it is " + only.dump());
}

void HubFields::fail(const std::string& what, const std::string& hint) const {
  throw Error(source_ + ": " + what, hint);
}

void HubFields::fail_type(const char* field, const json& found, const char* wanted) const {
  fail("'" + std::string(field) + "' must be " + wanted + ", not " + printable(shortened(found.dump(), 40)),
       "correct the file");
}

}  // namespace mformer
