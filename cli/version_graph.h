#pragma once

#include <string>

#include "cli/terminal/report.h"
#include "modules_registry/registry.h"

namespace mformer::cli {

/// `log --graph`: the versions of the workspace, or with `ref` that version's history, as a graph; the newest `limit`
/// (0 = all). Where tables are asked for, a table with a row for each version and its parents.
void report_version_graph(terminal::Report& report, const Registry& registry, const std::string& ref, int limit);

}  // namespace mformer::cli
