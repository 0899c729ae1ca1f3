#pragma once

#include <vector>

#include "modules_registry/records.h"

namespace mformer {

/// Which part of its bank's (layer's and kind's) work a module did.
struct ModuleShare {
  double value = 0;      ///< Those of a bank add up to 1, or are all 0 where nothing was counted.
  bool of_norm = false;  ///< Of the bank's gate-weighted output norms; else of its top-k slots.
};

/// One for each of the statistics, in their order. Where a router chooses it is the share of the slots. Where all
/// modules of a bank are taken slots say nothing, since all have as many: there it is the share of the output norms,
/// by which `prune` scores such modules too. The statistics tell which it is: gates that are all 1 in more than one slot
/// a token, or every module in a slot of every token.
std::vector<ModuleShare> module_shares(const std::vector<RoutingStat>& stats);

}  // namespace mformer
