#pragma once

#include <vector>

#include "cli/terminal/report.h"
#include "modules_registry/registry.h"

namespace mformer::cli {

/// What all the scores of a list have in common, so that it needs no column.
enum class ScoresOf { version, task };

/// "scores": the newest first, at most `limit` (0 = all); given oldest first, as Registry::scores() has them.
void report_scores(terminal::Report& report, const Registry& registry, std::vector<Score> scores, ScoresOf of,
                   int limit);

}  // namespace mformer::cli
