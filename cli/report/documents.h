#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>

#include "cli/workspace.h"

namespace mformer::cli {

/// What the posterior decides on the first `count` held-out documents of each task: an array of {task, number, loss,
/// shares: [[hypothesis, share], …], text (its beginning)}. Tasks whose data can't be read are passed over; where that
/// leaves nothing, throws what the last one's reading threw.
nlohmann::ordered_json documents_facts(Workspace& workspace, const LoadedVersion& version, std::int64_t count);

}  // namespace mformer::cli
