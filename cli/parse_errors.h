#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace mformer::cli {

/// What the program says to wrong arguments.
struct UsageMessage {
  std::string what;  ///< after "error: "
  std::string hint;  ///< after "hint: "
};

/// CLI11's error in our words: names the command, the option and the value, and the nearest known names of a misspelt
/// command or option. `root` is the app whose parse threw `error`.
UsageMessage explain(const CLI::App& root, const CLI::ParseError& error);

}  // namespace mformer::cli
