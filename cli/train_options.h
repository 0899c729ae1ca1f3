#pragma once

#include <CLI/CLI.hpp>

#include "cli/fields_option.h"
#include "cli/global_options.h"
#include "core/workflows/train.h"

namespace mformer::cli {

/// --lr and whatever else decides how a step trains, bound to `options`. Help shows the values that are in `options`
/// now as defaults: set a command's own before.
void add_step_flags(CLI::App& command, StepOptions& options);

/// --eval-every, of commands that validate as they train.
void add_eval_every(CLI::App& command, std::int64_t& steps);

/// --eval-every, --keep-best and --patience, of commands whose training may end with other weights than its last.
void add_validation_flags(CLI::App& command, ValidationOptions& options);

/// add_step_flags, add_validation_flags, and --steps.
void add_training_flags(CLI::App& command, TrainOptions& options);

/// --into and --eval-tokens, of commands that make a version and report losses.
void add_version_flags(CLI::App& command, std::string& into, std::int64_t& eval_tokens);

/// --data, --fields, --task, --into, --eval-tokens, --restart, --dry-run, bound to `task`.
void add_task_flags(CLI::App& command, TaskCommand& task);

/// add_training_flags and add_task_flags.
void add_train_flags(CLI::App& command, TrainCommand& train);

/// Gives the options the seed of --seed (0 without it), which add_global_options() reads.
void set_seed(StepOptions& options, const GlobalOptions& global);

}  // namespace mformer::cli
