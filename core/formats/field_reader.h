#pragma once

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "core/formats/choices.h"
#include "core/formats/quoted_name.h"
#include "modules_registry/error.h"
#include "modules_registry/printable.h"

// How the fields of a ModelConfig are taken out of its JSON, for model_config.cpp.
namespace mformer {

/// null means that there is no such token.
inline bool is_token_id(std::string_view field) {
  return field == "bos_token_id" || field == "eos_token_id";
}

// Takes known fields out of a JSON object; what remains is `extra`.
class FieldReader {
 public:
  using json = nlohmann::json;

  FieldReader(json& document, const std::string& source) : document_(document), source_(source) {}

  template <class Value>
  void operator()(const char* field, Value& value) {
    const auto found = document_.find(field);
    if (found == document_.end()) return;
    if (is_token_id(field) && found->is_null()) {
      if constexpr (std::is_same_v<Value, std::int64_t>) value = -1;
    } else if (std::string_view(field) == "torch_dtype" && found->is_null()) {
      // What transformers writes for a model whose dtype was never said: the default stays.
    } else {
      read(field, *found, value);
    }
    document_.erase(found);
  }

 private:
  [[noreturn]] void fail(const char* field, const json& found, const char* wanted) const {
    throw Error(source_ + ": '" + field + "' must be " + wanted + ", not " + printable(shortened(found.dump(), 40)),
                "correct the file");
  }

  void read(const char* field, const json& found, std::int64_t& value) const {
    const bool fits = !found.is_number_unsigned() ||
                      found.get<std::uint64_t>() <= std::uint64_t{std::numeric_limits<std::int64_t>::max()};
    if (!found.is_number_integer() || !fits) fail(field, found, "a whole number");
    value = found.get<std::int64_t>();
  }

  void read(const char* field, const json& found, double& value) const {
    if (!found.is_number()) fail(field, found, "a number");
    value = found.get<double>();
  }

  void read(const char* field, const json& found, bool& value) const {
    if (!found.is_boolean()) fail(field, found, "true or false");
    value = found.get<bool>();
  }

  void read(const char* field, const json& found, std::string& value) const {
    if (!found.is_string()) fail(field, found, "a string");
    value = found.get<std::string>();
  }

  template <class Choice>
  requires std::is_enum_v<Choice>
  void read(const char* field, const json& found, Choice& value) const {
    std::string text;
    read(field, found, text);
    const std::optional<Choice> choice = choice_from<Choice>(text);
    if (!choice.has_value()) {
      throw Error(source_ + ": '" + field + "' is " + quoted_name(text) + ", which is unknown",
                  "it can be one of: " + names_of<Choice>());
    }
    value = *choice;
  }

  void read(const char* field, const json& found, std::vector<std::int64_t>& value) const {
    if (!found.is_array()) fail(field, found, "a list of whole numbers");
    value.clear();
    for (const json& entry : found) read(field, entry, value.emplace_back());
  }

  json& document_;
  const std::string& source_;
};

}  // namespace mformer
