#pragma once

#include "cli/global_options.h"
#include "cli/terminal/report.h"
#include "core/workflows/hypothesis.h"

namespace mformer::cli {

/// Says which hypothesis of a version with domains was worked on, and who chose it: "hypothesis" of the data, null for
/// a version without domains, and a line of text where the posterior chose.
void report_hypothesis(terminal::Report& report, const HypothesisChoice& choice);

/// Where that made a version: a line with what it is without, where this is still, and how the two come together again.
void report_left_out(terminal::Report& report, const HypothesisChoice& choice, const VersionRecord& base,
                     const std::optional<VersionRecord>& made, const GlobalOptions& global);

}  // namespace mformer::cli
