#pragma once

#include <cstdint>

namespace mformer {

/// How an extension's budget was met; shares of the base's parameters.
struct BudgetUse {
  double allowed = 0, added = 0;
  double private_parts = 0;  ///< Of `added`, what is no new module.

  bool exceeded() const;
  /// Puts what was really added in the place of what was planned: private parts that training left as they were are not
  /// kept.
  void correct(std::int64_t added_weights, std::int64_t base_weights);
  /// Throws UsageError where it is exceeded, with a budget that is enough as the hint.
  void require_kept() const;
};

/// `share` of `weights`, rounded down; 0.29 of 100 is 29, whatever its binary form.
std::int64_t share_of(double share, std::int64_t weights);

}  // namespace mformer
