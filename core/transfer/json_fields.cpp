#include "core/transfer/json_fields.h"

#include <cmath>
#include <limits>

#include "core/transfer/parcel_json.h"
#include "core/transfer/wire.h"
#include "modules_registry/error.h"

namespace mformer {

namespace {

constexpr std::size_t kLongestText = std::size_t{1} << 24;  // a config.json, the arguments of a command

bool is_hexadecimal(std::string_view text, std::size_t digits) {
  return text.size() == digits && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace

bool is_object_hash(std::string_view text) {
  return is_hexadecimal(text, 64);
}

namespace fields {

using nlohmann::json;

void fail_form(const std::string& what) {
  throw Error("what came has no form that this program knows: " + what,
              "the other end may be another version of mformer, or the file damaged");
}

const json& member(const json& object, const char* name) {
  if (!object.is_object() || !object.contains(name)) fail_form(std::string("'") + name + "' is missing");
  return object[name];
}

const json& list(const json& object, const char* name) {
  const json& found = member(object, name);
  if (!found.is_array()) fail_form(std::string("'") + name + "' is no list");
  return found;
}

const json& item(const json& row, std::size_t index) {
  if (!row.is_array() || row.size() <= index) fail_form("a row is too short");
  return row[index];
}

std::string text_of(const json& value) {
  if (!value.is_string() || value.get_ref<const std::string&>().size() > kLongestText)
    fail_form("a text is none or too long");
  return value.get<std::string>();
}

std::string text(const json& object, const char* name) {
  return text_of(member(object, name));
}

std::int64_t number_of(const json& value, std::int64_t low, std::int64_t high) {
  if (!value.is_number_integer()) fail_form("a number is none");
  // What is above the signed range reads as negative otherwise.
  const bool fits = !value.is_number_unsigned() ||
                    value.get<std::uint64_t>() <= std::uint64_t(std::numeric_limits<std::int64_t>::max());
  if (!fits || value.get<std::int64_t>() < low || value.get<std::int64_t>() > high)
    fail_form("a number is out of range");
  return value.get<std::int64_t>();
}

std::int64_t count(const json& object, const char* name, std::int64_t high) {
  return number_of(member(object, name), 0, high);
}

double real_of(const json& value) {
  if (!value.is_number() || !std::isfinite(value.get<double>())) fail_form("a measurement is no finite number");
  return value.get<double>();
}

std::string hash_of(const json& value, bool may_be_empty) {
  std::string hash = text_of(value);
  if (!is_object_hash(hash) && !(may_be_empty && hash.empty())) fail_form("a hash is none");
  return hash;
}

std::string uid_of(const json& value) {
  std::string uid = text_of(value);
  if (!is_hexadecimal(uid, 12)) fail_form("an identity is none");
  return uid;
}

std::string name_of(const json& value, const char* what) {
  std::string name = text_of(value);
  require_valid_name(what, name);
  return name;
}

Kind kind_of(const json& value) {
  const std::string kind = text_of(value);
  if (kind != "att" && kind != "mlp") fail_form("a kind of modules is none");
  return kind_from_string(kind);
}

/// The words of a command, or none.
std::string line_of(const json& value) {
  std::string line = text_of(value);
  if (line.empty()) return line;
  const json words = json_of_stranger(line);
  if (!words.is_array()) fail_form("a command line is no list of words");
  for (const json& word : words) {
    if (!word.is_string()) fail_form("a command line is no list of words");
  }
  return line;
}

std::string arguments_of(const json& value) {
  std::string arguments = text_of(value);
  if (!json_of_stranger(arguments).is_object()) fail_form("the arguments of a command are none");
  return arguments;
}

}  // namespace fields
}  // namespace mformer
