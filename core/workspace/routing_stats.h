#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/workspace/routing_facts.h"
#include "core/workspace/session.h"

namespace mformer {

/// Who routes where: runs the model, on the session's device, over (at most `max_tokens` of) a split and counts, for
/// every module, its top-k slots, gate mass and gate-weighted output norm. Padding after the last token is not counted.
/// Of a model with domains each window is run as the hypothesis that the posterior finds likeliest.
std::vector<RoutingStat> collect_routing(const Session& session, const Model& model, const TaskData& task, Split split,
                                         std::int64_t max_tokens);

/// The split that a task's routing is looked at on: held-out text, or where there is none the training text, with a
/// message. (Routing says where tokens go, not how good the model is: training text only flatters it a little.)
Split measurable_split(const Session& session, const TaskData& task);

}  // namespace mformer
