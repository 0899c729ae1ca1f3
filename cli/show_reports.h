#pragma once

#include "cli/terminal/report.h"
#include "modules_registry/registry.h"

namespace mformer::cli {

/// A version: its names, what made it of what, what that changed, its manifest in short, and its scores.
void report_version(terminal::Report& report, const Registry& registry, const VersionRecord& version);

/// A task: its data, and the newest `limit` (0 = all) of its scores.
void report_task(terminal::Report& report, const Registry& registry, const TaskRecord& task, int limit);

}  // namespace mformer::cli
