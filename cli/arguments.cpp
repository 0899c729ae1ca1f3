#include "cli/arguments.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <string>

namespace mformer::cli {
namespace {

using nlohmann::ordered_json;

std::string name_of(const CLI::Option& option) {
  return option.get_lnames().empty() ? option.get_name() : option.get_lnames().front();
}

std::string key_of(std::string name) {
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return c == '-' ? '_' : static_cast<char>(std::tolower(c)); });
  return name;
}

bool is_path(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  return type == "DIR" || type == "FILE";
}

/// 0.001 and 1e-3 are the same number.
ordered_json value_of(const CLI::Option& option, const std::string& text) {
  if (is_path(option)) return std::filesystem::absolute(text).lexically_normal().string();
  ordered_json number = ordered_json::parse(text, nullptr, /*allow_exceptions=*/false);
  return number.is_number() ? number : ordered_json(text);
}

ordered_json value_of(CLI::Option& option) {
  const bool is_flag = option.get_expected_max() == 0 || option.get_type_size_max() == 0;
  if (is_flag) return option.count() > 0;
  if (option.count() == 0) {
    option.capture_default_str();
    const std::string text = option.get_default_str();
    return text.empty() || text == "[]" ? ordered_json() : value_of(option, text);
  }
  if (option.get_expected_max() < CLI::detail::expected_max_vector_size) {
    return option.results().back().empty() ? ordered_json() : value_of(option, option.results().back());
  }
  ordered_json values = ordered_json::array();
  for (const std::string& text : option.results()) values.push_back(value_of(option, text));
  return values;
}

/// Whether validation losses decide what the command makes.
bool goes_by_validations(CLI::App& command) {
  const CLI::Option* keep_best = command.get_option_no_throw("--keep-best");
  CLI::Option* patience = command.get_option_no_throw("--patience");
  return (keep_best != nullptr && keep_best->count() > 0) || (patience != nullptr && value_of(*patience) > 0);
}

bool has_effect(CLI::App& command, const std::string& name) {
  if (name == "eval-every" && goes_by_validations(command)) return true;
  return std::count(std::begin(options_without_effect), std::end(options_without_effect), name) == 0;
}

}  // namespace

ordered_json arguments_of(CLI::App& command) {
  ordered_json arguments = ordered_json::object();
  for (CLI::Option* option : command.get_options()) {
    const std::string name = name_of(*option);
    if (!has_effect(command, name)) continue;
    ordered_json value = value_of(*option);
    if (!value.is_null()) arguments[key_of(name)] = std::move(value);
  }
  return arguments;
}

}  // namespace mformer::cli
