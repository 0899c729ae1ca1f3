#pragma once

#include <CLI/CLI.hpp>

#include "cli/global_options.h"

namespace mformer::cli {

// Every command's setup, one declaration a line; each is defined in the file of its command (see command.h).

/// Adds every command to the root app, in the order in which the help lists them.
/// `global` is read when a command runs, and outlives `root`.
inline void setup_commands([[maybe_unused]] CLI::App& root, [[maybe_unused]] const GlobalOptions& global) {}

}  // namespace mformer::cli
