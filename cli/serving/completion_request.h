#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/text/chat_messages.h"

namespace mformer::cli {

/// A body of /v1/completions or /v1/chat/completions, as OpenAI's API has them and nothing that this server would not
/// do.
struct CompletionRequest {
  std::string model;
  std::vector<std::string> texts;              ///< Prompts,
  std::vector<std::vector<std::int64_t>> ids;  ///< or their tokens.
  std::vector<ChatMessage> messages;           ///< Of a chat.
  std::optional<std::int64_t> max_tokens;
  double temperature = 1, top_p = 1;
  std::int64_t top_k = 0;
  std::optional<std::uint64_t> seed;
  std::vector<std::string> stop;
  bool stream = false, usage_in_stream = false;
  bool log_probs = false;
  std::int64_t likeliest = 0;
  bool echo = false;
  bool posterior = false, routing = false;  ///< Of "mformer".
};

/// Throws ApiError with one sentence for whatever can't be done: no JSON, fields that are unknown or of another type,
/// values out of range.
CompletionRequest read_completion(const std::string& body, bool chat);

}  // namespace mformer::cli
