#pragma once

#include <CLI/CLI.hpp>

namespace mformer::cli {

/// Makes what two files say the defaults of options, for help as for commands: first the user's,
/// $XDG_CONFIG_HOME/mformer/config (~/.config without that variable), then .mformer/config of the workspace that `argv`
/// or the working directory leads to, which wins. A line is
///
///     threads = 2                        # an option of every command
///     extend.steps = 400                 # an option of one
///     inspect keep-curve.max-tokens = 5000
///
/// with true or false for a flag. A file that is not there says nothing. Throws UsageError, with file and line, for a
/// line that can't be read, an unknown option, one that no file may set (--workspace, --model, --json, --format,
/// --dry-run and the like) or a value that the option refuses; Error for a file that can't be read. Call before
/// parsing.
void apply_config_files(CLI::App& root, int argc, const char* const* argv);

}  // namespace mformer::cli
