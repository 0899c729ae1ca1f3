#pragma once

#include <CLI/CLI.hpp>

#include "cli/global_options.h"
#include "core/workflows/train.h"

namespace mformer::cli {

/// --steps, --lr and whatever else decides how training goes, bound to `options`. Help shows the values that are in
/// `options` now as defaults: set a command's own before.
void add_training_flags(CLI::App& command, TrainOptions& options);

/// --into and --eval-tokens, of commands that make a version and report losses.
void add_version_flags(CLI::App& command, std::string& into, std::int64_t& eval_tokens);

/// --fields, of commands that take --data.
void add_fields_flag(CLI::App& command, std::string& fields);

/// add_training_flags, and --data, --fields, --task, --into, --eval-tokens, --restart, --dry-run, bound to `train`.
void add_train_flags(CLI::App& command, TrainCommand& train);

/// Gives the options the seed of --seed (0 without it), which add_global_options() reads.
void set_seed(TrainOptions& options, const GlobalOptions& global);

}  // namespace mformer::cli
