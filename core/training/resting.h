#pragma once

#include <vector>

#include "core/model/posterior.h"
#include "core/training/batch.h"
#include "core/training/view_runs.h"

namespace mformer {

/// Of each row of the batch which of the `views` need running in the fast mode (PosteriorEvaluator); at least one.
RowViews worth_running(const ViewRuns& runs, std::size_t views, const Batch& batch, const PosteriorOptions& options);

}  // namespace mformer
