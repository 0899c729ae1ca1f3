#pragma once

#include <CLI/CLI.hpp>

namespace mformer::cli {

/// Gives `root` and the commands that are added afterwards one look of --help: 80 columns, descriptions wrapped beside
/// the names, short value names (N, X, FRACTION, DIR) instead of C++ types.
void use_our_help(CLI::App& root);

}  // namespace mformer::cli
