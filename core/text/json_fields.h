#pragma once

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace mformer {

/// An object of a JSON file together with where it stands, so that every complaint names the field ("model.vocab").
/// Borrows the JSON value.
class JsonFields {
 public:
  /// Throws Error when `value` is no object. `file` and `path` are for messages; the path of a whole file is "".
  JsonFields(const nlohmann::json& value, std::string file, std::string path);

  /// The field, or a null value when it is missing.
  const nlohmann::json& at(std::string_view name) const;
  /// The field as an object; throws Error if it is none.
  JsonFields object(std::string_view name) const;
  /// The field as a flag or text; `fallback` when it is missing or null. Throws Error for another type.
  bool flag(std::string_view name, bool fallback) const;
  std::string text(std::string_view name, const std::string& fallback) const;

  /// Throws Error for a field that is not named here and is not null.
  void allow_only(std::initializer_list<std::string_view> names) const;

  /// Throws Error: "<file>: <path>.<name> <problem>".
  [[noreturn]] void refuse(std::string_view name, const std::string& problem) const;

  const std::string& file() const { return file_; }
  std::string path_of(std::string_view name) const;

 private:
  const nlohmann::json& value_;
  std::string file_, path_;
};

/// `text` as it stands in messages: cut after `most` bytes, between characters.
std::string cut(std::string_view text, size_t most);

/// A value as it stands in messages: its JSON text, cut after 60 bytes and printable; of a list or object, how much it
/// holds.
std::string shown(const nlohmann::json& value);

}  // namespace mformer
