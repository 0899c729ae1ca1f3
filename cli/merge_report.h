#pragma once

#include "cli/terminal/report.h"
#include "core/workflows/merge.h"

namespace mformer::cli {

/// What `merge` says: where the branches part, what each brought, and every task's loss in the ancestor, in each branch
/// and in the merged version. A result without a version is a dry run's.
void report_merge(terminal::Report& report, const VersionRecord& a, const VersionRecord& b, const MergeReport& result);

}  // namespace mformer::cli
