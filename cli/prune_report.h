#pragma once

#include "cli/terminal/report.h"
#include "core/workflows/prune.h"

namespace mformer::cli {

/// How many modules stay per layer and kind, and (in JSON: "kept" and "map") where each was and is.
void report_kept(terminal::Report& report, const LoadedVersion& base, const ModuleSelection& kept);

/// What `prune` says: modules kept per layer and kind, size in memory and on disk, loss and evaluation speed before and
/// after, and (always in JSON, in text with `show_map`) where each kept module was and is. A result without a version
/// is a dry run's.
void report_pruning(terminal::Report& report, const LoadedVersion& base, const PruneReport& result, bool show_map);

}  // namespace mformer::cli
