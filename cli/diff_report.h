#pragma once

#include "cli/terminal/report.h"
#include "core/history/diff.h"
#include "modules_registry/registry.h"

namespace mformer::cli {

/// What the registry knows of the difference of two versions.
void report_diff(terminal::Report& report, const VersionRecord& before, const VersionRecord& after,
                 const VersionDiff& diff);

}  // namespace mformer::cli
