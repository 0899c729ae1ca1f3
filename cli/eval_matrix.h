#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "cli/global_options.h"
#include "core/workflows/evaluate_tasks.h"

namespace mformer::cli {

/// The flags that make `eval` print the matrix of all steps instead of one version's losses.
struct MatrixFlags {
  bool wanted = false;
  bool no_measure = false;
  std::string csv;  ///< File for the same as a table of values; empty = none.
};

void add_matrix_flags(CLI::App& command, MatrixFlags& flags);

/// Throws UsageError for --csv or --no-measure without --matrix, and for what does not go with that; of --csv also as
/// require_output().
void understand_matrix_flags(const EvalCommand& options, const MatrixFlags& flags);

/// `eval --matrix`: R and what follows from it. Of `options`, the tasks and max_tokens count; throws UsageError for the
/// others, which belong to a single version.
void run_eval_matrix(const EvalCommand& options, const MatrixFlags& flags, const GlobalOptions& global);

}  // namespace mformer::cli
