#pragma once

#include <CLI/CLI.hpp>

#include "cli/global_options.h"

namespace mformer::cli {

// Every command's setup, one declaration a line; each is defined in the file of its command (see command.h).
void setup_models(CLI::App& parent, const GlobalOptions& global);
void setup_use(CLI::App& parent, const GlobalOptions& global);
void setup_log(CLI::App& parent, const GlobalOptions& global);
void setup_undo(CLI::App& parent, const GlobalOptions& global);
void setup_gc(CLI::App& parent, const GlobalOptions& global);
void setup_fsck(CLI::App& parent, const GlobalOptions& global);

/// Adds every command to the root app, in the order in which the help lists them.
/// `global` is read when a command runs, and outlives `root`.
inline void setup_commands(CLI::App& root, const GlobalOptions& global) {
  setup_models(root, global);
  setup_use(root, global);
  setup_log(root, global);
  setup_undo(root, global);
  setup_gc(root, global);
  setup_fsck(root, global);
}

}  // namespace mformer::cli
