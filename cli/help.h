#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace mformer::cli {

/// Gives `root` and the commands that are added afterwards one look of --help: 80 columns, descriptions wrapped beside
/// the names, short value names (N, X, FRACTION, DIR) instead of C++ types. The value that an option's variable has
/// when the option is added is its default and stands behind its description, unless that has a "default: " of its own.
void use_our_help(CLI::App& root);

/// A number as such defaults are written.
std::string written(double number);

}  // namespace mformer::cli
