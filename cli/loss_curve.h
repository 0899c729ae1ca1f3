#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/terminal/report.h"
#include "modules_registry/registry.h"

namespace mformer::cli {

/// What is left of a training: its folder, and the loss of each step.
struct PastRun {
  std::string folder;
  std::vector<std::pair<std::int64_t, double>> losses;  ///< (step, loss), as metrics.jsonl has them
};

/// The run of an operation: of the folders whose session.json names the same command, arguments, seed and program, the
/// one that was written to first after the operation began. Nothing for what trained nothing, was done by an older
/// program, or whose folder is gone.
std::optional<PastRun> find_run(const Registry& registry, const OperationRecord& operation);

/// "run" in JSON, null without one; in text a table of some steps, evenly spread, and the curve as a line of blocks.
void report_curve(terminal::Report& report, const std::optional<PastRun>& run);

}  // namespace mformer::cli
