#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/workspace/routing_stats.h"
#include "core/workspace/session.h"

namespace mformer {

struct InspectRoutingCommand {
  std::vector<std::string> tasks;  ///< Known tasks; empty = all.
  /// Held-out tokens per task, 0 = all; nothing = what the registry has, and 65,536 where it has nothing.
  std::optional<std::int64_t> max_tokens;
  bool refresh = false;  ///< Measure again even if the registry has statistics, as `max_tokens` does where it is given.
};

/// Routing of one task.
struct TaskRouting {
  std::string task;
  std::vector<RoutingStat> stats;  ///< By layer, kind, position.
  bool measured = false;           ///< Just now, rather than taken from the registry.
  double ninety_percent = 0;       ///< ninety_percent_share()
};

/// Routing statistics of each task on this version: from the registry where it has them and nothing else is asked for,
/// else measured, and kept there when it may be written. Throws Error if there is no task whose data can be read.
std::vector<TaskRouting> inspect_routing(Session& session, const LoadedVersion& version,
                                         const InspectRoutingCommand& command, bool keep);

/// Jensen-Shannon divergence of two banks' shares, by the modules' uids, in bits: ½ Σ p·log₂(p/m) + ½ Σ q·log₂(q/m) with
/// m = ½(p + q). 0 = the same shares, 1 = no module in common.
double jensen_shannon(const std::map<std::string, double>& p, const std::map<std::string, double>& q);

/// Divergence of two tasks' routing: mean over (layer, kind) of the Jensen-Shannon divergence of their modules' shares
/// (core/workspace/module_share.h), in bits; 0 = the same modules, 1 = none in common.
double routing_divergence(const std::vector<RoutingStat>& a, const std::vector<RoutingStat>& b);

}  // namespace mformer
