#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/workspace/routing_facts.h"
#include "core/workspace/session.h"

namespace mformer {

/// One choice of a router.
struct RoutedSlot {
  std::int64_t window = 0;     ///< of those that were read, from 0
  std::int64_t position = 0;   ///< in the window, from 0
  std::int64_t token = 0;      ///< its id
  std::size_t hypothesis = 0;  ///< that read the window; 0 = the base
  int layer = 0;
  Kind kind = Kind::mlp;
  std::int64_t slot = 0;    ///< from 0, by descending gate
  std::int64_t module = 0;  ///< its place in its layer and kind of the whole model
  float gate = 0;
};
using RoutingTrace = std::function<void(const RoutedSlot&)>;

/// Who routes where: runs the model, on the session's device, over (at most `max_tokens` of) a split and counts, for
/// every module, its top-k slots, gate mass and gate-weighted output norm. Padding after the last token is not counted.
/// Of a model with domains each window is run as the hypothesis that the posterior finds likeliest.
/// `trace` (may be empty) is told of every choice: the windows of a batch by hypothesis, of each its tokens, and of
/// each layers, attention before feed-forward, and slots.
std::vector<RoutingStat> collect_routing(const Session& session, const Model& model, const TaskData& task, Split split,
                                         std::int64_t max_tokens, const RoutingTrace& trace = {});

/// The split that a task's routing is looked at on: held-out text, or where there is none the training text, with a
/// message. (Routing says where tokens go, not how good the model is: training text only flatters it a little.)
Split measurable_split(const Session& session, const TaskData& task);

}  // namespace mformer
