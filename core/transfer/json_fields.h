#pragma once

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>

#include "modules_registry/records.h"

/// Fields of JSON that strangers wrote. Each throws Error unless there is one of the form that its name says.
namespace mformer::fields {

inline constexpr std::int64_t kMostLayers = 1 << 20;

[[noreturn]] void fail_form(const std::string& what);

const nlohmann::json& member(const nlohmann::json& object, const char* name);
const nlohmann::json& list(const nlohmann::json& object, const char* name);
/// Of a row that is a list.
const nlohmann::json& item(const nlohmann::json& row, std::size_t index);

std::string text_of(const nlohmann::json& value);
std::string text(const nlohmann::json& object, const char* name);
std::int64_t number_of(const nlohmann::json& value, std::int64_t low, std::int64_t high);
/// From 0 on.
std::int64_t count(const nlohmann::json& object, const char* name,
                   std::int64_t high = std::numeric_limits<std::int64_t>::max());
/// Finite.
double real_of(const nlohmann::json& value);

std::string hash_of(const nlohmann::json& value, bool may_be_empty = false);
/// Of a module or an operation.
std::string uid_of(const nlohmann::json& value);
/// Throws UsageError for what can't be the name of `what`.
std::string name_of(const nlohmann::json& value, const char* what);
Kind kind_of(const nlohmann::json& value);
/// The words of a command as a JSON array, or "".
std::string line_of(const nlohmann::json& value);
/// A JSON object.
std::string arguments_of(const nlohmann::json& value);

}  // namespace mformer::fields
