#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/history/diff.h"
#include "core/workspace/version_store.h"

namespace mformer {

/// How far weights moved from one version to another: Frobenius norms over all of a module's weights, its router row
/// aside, summed in float64.
struct WeightChange {
  double change = 0;  ///< ‖W_after − W_before‖
  double before = 0;  ///< ‖W_before‖

  /// ‖Δ‖ / ‖W‖; nothing where W is 0.
  std::optional<double> relative() const;
  /// Of both together, as of one set of weights.
  WeightChange& operator+=(const WeightChange& other);
};

/// Of every module that both versions have with other weights, by uid, as `diff` (from `before` to `after`) lists them.
/// Quantised weights, which no trainer changes, are left out. Reads these modules alone. Throws Error for a damaged
/// object, StoppedError when `should_stop` says so.
std::map<std::string, WeightChange> weight_changes(const Registry& registry, const VersionRecord& before,
                                                   const VersionRecord& after, const VersionDiff& diff,
                                                   const std::function<bool()>& should_stop);

}  // namespace mformer
