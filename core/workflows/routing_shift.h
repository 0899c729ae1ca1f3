#pragma once

#include <string>
#include <vector>

#include "core/workspace/routing_facts.h"

namespace mformer {

/// What became of one task's routing in one (layer, kind) from one version to another.
struct BankShift {
  int layer = 0;
  Kind kind = Kind::att;
  double divergence =
      0;            ///< Jensen-Shannon, bits, of the modules' shares by identity: 0 = the same, 1 = none in common
  double leak = 0;  ///< Share that the later version gives to modules that the earlier one does not have.
};

struct RoutingShift {
  std::string task;
  std::vector<BankShift> banks;                      ///< Those that both versions have, by layer, att first.
  double divergence = 0, leak = 0;                   ///< Means over the banks.
  std::int64_t tokens_before = 0, tokens_after = 0;  ///< That the shares were counted over.
};

/// One for each of the statistics' tasks, which are the same in both lists. Throws Error where the versions have no
/// layer with modules in common.
std::vector<RoutingShift> routing_shifts(const std::vector<TaskRouting>& before, const std::vector<TaskRouting>& after);

}  // namespace mformer
