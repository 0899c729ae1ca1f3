#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "modules_registry/records.h"

namespace mformer {

/// What follows from statistics of routing alone, without tensors.

/// Share of the top-k slots of one (layer, kind) that go to the modules in `later`.
struct LeakRow {
  int layer = 0;
  Kind kind = Kind::att;
  double share = 0;
};
/// Router leak per layer and kind, from statistics of an old task in the extended version.
std::vector<LeakRow> router_leak(const std::vector<RoutingStat>& stats, const std::set<std::string>& later);

/// Mean of the rows' shares.
double mean_leak(const std::vector<LeakRow>& leak);

/// How concentrated the routing is: the fewest modules of each (layer, kind) that have 90 % of its work
/// (module_share.h), as a share of its modules, averaged over the banks.
double ninety_percent_share(const std::vector<RoutingStat>& stats);

/// Routing of one task.
struct TaskRouting {
  std::string task;
  std::vector<RoutingStat> stats;  ///< By layer, kind, position.
  bool measured = false;           ///< Just now, rather than taken from the registry.
  double ninety_percent = 0;       ///< ninety_percent_share()
};

/// Jensen-Shannon divergence of two banks' shares, by the modules' uids, in bits: ½ Σ p·log₂(p/m) + ½ Σ q·log₂(q/m)
/// with m = ½(p + q). 0 = the same shares, 1 = no module in common.
double jensen_shannon(const std::map<std::string, double>& p, const std::map<std::string, double>& q);

/// Divergence of two tasks' routing: mean over (layer, kind) of the Jensen-Shannon divergence of their modules' shares
/// (core/workspace/module_share.h), in bits; 0 = the same modules, 1 = none in common.
double routing_divergence(const std::vector<RoutingStat>& a, const std::vector<RoutingStat>& b);

}  // namespace mformer
