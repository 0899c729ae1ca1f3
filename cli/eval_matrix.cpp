#include "cli/eval_matrix.h"

#include <filesystem>

#include "cli/describe.h"
#include "cli/matrix_report.h"
#include "cli/output_file.h"
#include "cli/workspace.h"
#include "core/workflows/score_matrix.h"

namespace mformer::cli {
namespace {

MatrixCommand matrix_command(const EvalCommand& options, const MatrixFlags& flags) {
  const bool fast = options.mode == PosteriorMode::fast;
  if (!options.data.empty() || !options.as_of.empty() || !options.domain.empty() || fast || options.context > 0) {
    throw UsageError(
        "--matrix measures tasks along the lineage, not with --data, --as-of, --domain, --fast or --context",
        "leave those out; --task and --max-tokens choose what is measured");
  }
  MatrixCommand command;
  command.tasks = options.tasks;
  command.measure = !flags.no_measure;
  if (options.max_tokens > 0) command.max_tokens = options.max_tokens;
  return command;
}

}  // namespace

void add_matrix_flags(CLI::App& command, MatrixFlags& flags) {
  const char* group = "Matrix";
  command
      .add_flag("--matrix", flags.wanted,
                "Losses after every step of the lineage that was trained, with forgetting, transfer and leak; "
                "--max-tokens is 65536 then, as in the reports of the steps")
      ->group(group);
  command.add_option("--csv", flags.csv, "With --matrix: also write figure,step,version,task,value to this file")
      ->type_name("FILE")
      ->group(group);
  command.add_flag("--no-measure", flags.no_measure, "With --matrix: show '-' for what the registry does not have")
      ->group(group);
}

void understand_matrix_flags(const EvalCommand& options, const MatrixFlags& flags) {
  if (!flags.wanted && (!flags.csv.empty() || flags.no_measure)) {
    throw UsageError("--csv and --no-measure belong to --matrix", "add --matrix, or leave them out");
  }
  if (!flags.wanted) return;
  matrix_command(options, flags);
  if (flags.csv.empty()) return;
  require_output(flags.csv, "table of losses",
                 [](const std::string& path) { return has_first_line(path, matrix_csv_header); });
}

void run_eval_matrix(const EvalCommand& options, const MatrixFlags& flags, const GlobalOptions& global) {
  const MatrixCommand command = matrix_command(options, flags);
  const OpenMode mode = mode_for_measuring(global);
  Workspace workspace(global, "eval", mode);
  const ScoreMatrix matrix = workspace.run([&] {
    return score_matrix(workspace.computing_session(), workspace.version(), command, mode == OpenMode::read_write);
  });
  if (!flags.csv.empty()) write_matrix_csv(flags.csv, matrix);
  terminal::Report report("eval", global.json);
  report.data()["max_tokens"] = command.max_tokens;
  report_matrix(report, matrix);
  if (!flags.csv.empty()) report.data()["csv"] = flags.csv;
  report.print();
}

}  // namespace mformer::cli
