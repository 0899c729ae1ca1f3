#pragma once

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
  RoutingTrace trace{};  ///< Told of every choice of a router; what it is told of is measured again.

  bool measures_again() const { return refresh || max_tokens.has_value() || trace != nullptr; }
};

/// Routing statistics of each task on this version: from the registry where it has them and nothing else is asked for,
/// else measured, and kept there when it may be written. Throws Error if there is no task whose data can be read.
std::vector<TaskRouting> inspect_routing(Session& session, const LoadedVersion& version,
                                         const InspectRoutingCommand& command, bool keep);

}  // namespace mformer
