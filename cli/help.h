#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace mformer::cli {

/// Gives `root` and the commands that are added afterwards one look of --help: 80 columns, descriptions wrapped beside
/// the names, short value names (N, X, FRACTION, DIR) instead of C++ types. The value that an option's variable has
/// when the option is added is its default and stands behind its description, unless that has a "default: " of its own.
/// Options of a group whose name ends in ", for experts" are shown by --help-all only, which help then names.
void use_our_help(CLI::App& root);

/// What help writes of an argument or option: "--seed N", and behind it the description with its default.
struct HelpEntry {
  std::string names;        ///< "-n,--limit", or "NAME" of an argument
  std::string value;        ///< "N"; empty for flags and arguments
  bool many = false;        ///< takes several: "..." stands behind it
  std::string description;  ///< with the default, "(required)" and the environment variable
};
HelpEntry help_entry(const CLI::Option& option);

/// The short name of an option's value: "N", "DIR", "cpu|cuda[:N]".
std::string value_name(const CLI::Option& option);

/// The names of such groups.
namespace option_groups {
inline constexpr const char* training_experts = "Training, for experts";
inline constexpr const char* single_mask_experts = "Single mask, for experts";
}  // namespace option_groups

/// A number as such defaults are written.
std::string written(double number);

}  // namespace mformer::cli
