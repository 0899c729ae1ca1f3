#pragma once

#include <cstdint>
#include <optional>

#include "cli/serving/live_report.h"
#include "cli/serving/web_server.h"
#include "core/serving/scheduler.h"
#include "core/serving/served_model.h"

namespace mformer::cli {

/// What the server says of requests that leave something open.
struct ServeDefaults {
  std::int64_t context = 0;             ///< Tokens of a prompt and its answer together, at most.
  std::int64_t max_tokens = 16;         ///< Of a completion, as OpenAI has it,
  std::int64_t max_chat_tokens = 1024;  ///< and of an answer in a chat, where the context has room.
  std::optional<std::uint64_t> seed;    ///< Nothing: another one each time.
};

/// Gives a server its addresses: /v1/models, /v1/completions, /v1/chat/completions, /health, /metrics and /, the
/// report. All must outlive it.
void add_endpoints(WebServer& server, const ServedModel& model, Scheduler& scheduler, const ServeDefaults& defaults,
                   LiveReport& report);

}  // namespace mformer::cli
