#pragma once

#include <CLI/CLI.hpp>

#include "core/workflows/init.h"

// What init and import ask alike of a checkpoint.
namespace mformer::cli {

/// --tokenizer
CLI::Option* add_tokenizer_file(CLI::App& command, InitOptions& options);
/// --slices
void add_slices(CLI::App& command, InitOptions& options);
/// --allow-not-finite
CLI::Option* add_allow_not_finite(CLI::App& command, InitOptions& options);

}  // namespace mformer::cli
