#pragma once

#include <cstdint>

namespace mformer {

/// Linear warm-up from 0 to `peak`, then a cosine down to peak · final_fraction at the last step.
struct Schedule {
  double peak = 1e-3;
  std::int64_t warmup_steps = 0;
  std::int64_t total_steps = 1;
  double final_fraction = 0.1;

  /// The rate of step `step`, counted from 0.
  double at(std::int64_t step) const;
};

}  // namespace mformer
