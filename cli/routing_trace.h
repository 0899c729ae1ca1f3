#pragma once

#include <functional>
#include <string>

#include "core/workflows/inspect.h"

namespace mformer::cli {

/// The first line of a file of choices.
inline constexpr const char* routing_trace_header = "window,position,token,hypothesis,layer,kind,slot,module,gate";

/// Writes what `run` hands to its trace to the file, a line each as the header names its parts, as it comes: memory
/// does not grow with it. What `run` throws comes through, and the file is what it was. Returns how many lines.
std::int64_t write_routing_trace(const std::string& path, const std::vector<std::string>& hypotheses,
                                 const std::function<void(const RoutingTrace&)>& run);

}  // namespace mformer::cli
