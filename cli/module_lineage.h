#pragma once

#include <string>

#include "cli/terminal/report.h"
#include "modules_registry/registry.h"

namespace mformer::cli {

/// The module whose uid begins with `prefix`: among those of `version`, else of any version of the workspace.
/// Throws UsageError if there is none or more than one.
ModuleRecord find_module(const Registry& registry, const VersionRecord& version, const std::string& prefix);

/// A module's birth, the newest `limit` (0 = all) of its revisions with the operations that made them, and the models
/// that have it now.
void report_module(terminal::Report& report, const Registry& registry, const ModuleRecord& module, int limit);

}  // namespace mformer::cli
