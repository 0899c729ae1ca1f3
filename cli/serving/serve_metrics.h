#pragma once

#include <string>

#include "cli/serving/web_server.h"
#include "core/serving/scheduler.h"

namespace mformer::cli {

/// What a server did and is doing, in Prometheus' text form.
std::string metrics_text(const SchedulerFigures& figures, const WebServer& server);

}  // namespace mformer::cli
