#pragma once

#include <optional>

#include "cli/terminal/report.h"
#include "core/workflows/init.h"

namespace mformer::cli {

/// What `init` and `import` say of the model they made, or, with `dry_run`, would make.
void report_model(terminal::Report& report, const InitReport& made, const std::string& name, bool dry_run);

}  // namespace mformer::cli
