#pragma once

#include <nlohmann/json.hpp>

#include "cli/terminal/report.h"
#include "core/training/memory_plan.h"

namespace mformer::cli {

/// What a training would hold in its device's memory, item by item, beside what is free there.
void report_memory(terminal::Report& report, const MemoryPlan& plan);

/// The same in bytes, and `peak`, the most that this process has held there so far; it, `free` and `device_total` are
/// null where they can't be told.
nlohmann::ordered_json to_json(const MemoryPlan& plan);

}  // namespace mformer::cli
