#pragma once

#include "cli/terminal/report.h"
#include "core/workflows/upcycle.h"

namespace mformer::cli {

/// Sizes, exactness, losses at each stage, tokens a second, what was trained, and which readers can load the model. A
/// report without a version is a dry run's.
void report_upcycling(terminal::Report& report, const LoadedVersion& base, const UpcycleCommand& command,
                      const UpcycleReport& result);

}  // namespace mformer::cli
