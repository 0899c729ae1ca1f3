#include "core/workflows/merge.h"
#include "modules_registry/error.h"

namespace mformer {

void MergeCommand::validate() const {
  options.validate();
  if (review_steps < 0) throw UsageError("--review-steps must not be negative", "0 = no review");
}

}  // namespace mformer
