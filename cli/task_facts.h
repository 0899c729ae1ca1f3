#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "modules_registry/registry.h"

namespace mformer::cli {

/// What the registry knows of a task, as fields of a JSON object.
nlohmann::ordered_json task_facts_json(const TaskRecord& task);

/// "2 files, 3 records"; "-" for nothing; "?" where nobody counted.
std::string left_out_text(const TaskRecord& task);

}  // namespace mformer::cli
