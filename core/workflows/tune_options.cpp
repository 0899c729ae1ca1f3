#include <cmath>
#include <string>

#include "core/workflows/tune.h"
#include "modules_registry/error.h"

namespace mformer {

namespace {

void require_weight(double value, const char* option) {
  if (std::isfinite(value) && value >= 0) return;
  throw UsageError(std::string(option) + " must not be negative", "0 leaves it out");
}

}  // namespace

void TuneLoss::validate() const {
  require_weight(concentrate, "--concentrate");
  require_weight(sharpen, "--sharpen");
  require_weight(distill, "--distill");
  if (!(concentrate_warmup >= 0 && concentrate_warmup <= 1)) {
    throw UsageError("--concentrate-warmup is a share of the steps, between 0 and 1",
                     "for example --concentrate-warmup 0.5");
  }
  if (concentrate_warmup > 0 && concentrate == 0 && sharpen == 0) {
    throw UsageError("--concentrate-warmup has nothing to warm up", "give --concentrate or --sharpen a weight");
  }
  if (!(std::isfinite(temperature) && temperature > 0)) {
    throw UsageError("--distill-temperature must be a positive number", "for example --distill-temperature 2");
  }
  if (distill == 0 && !teacher.empty()) {
    throw UsageError("--teacher names a version to learn from, but --distill is 0", "for example --distill 1");
  }
}

}  // namespace mformer
