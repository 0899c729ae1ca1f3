#pragma once

#include <string>
#include <vector>

#include "core/workflows/matrix_figures.h"
#include "modules_registry/registry.h"

namespace mformer {

/// The steps and tasks (empty = all) of R along the lineage of `version`: its ancestors that were trained on a task
/// (see tasks_trained_by), and the version itself. Throws Error when nothing in the lineage was trained, UsageError
/// when a task is not known.
ScoreMatrix matrix_without_losses(const Registry& registry, const VersionRecord& version,
                                  const std::vector<std::string>& tasks);

}  // namespace mformer
