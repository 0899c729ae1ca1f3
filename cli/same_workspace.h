#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <string_view>

#include "cli/global_options.h"

/// What we tell users to type works on the workspace that their command was given.
namespace mformer::cli {

/// "mformer", or "mformer --workspace DIR" where the command was given that, DIR as a word for the shell.
/// MFORMER_WORKSPACE is not repeated: it stays.
std::string program_of(const GlobalOptions& global);

/// `text` with program_of() in the place of each "mformer" that one of the root app's commands follows. For hints,
/// which are written where no options are known.
std::string in_same_workspace(const CLI::App& root, std::string_view text);

}  // namespace mformer::cli
