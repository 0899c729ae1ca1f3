#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "core/workflows/chat_prompt.h"

namespace mformer::cli {

/// What a command is told about a conversation.
struct ChatFlags {
  bool chat = false;
  std::string system, messages, chat_template;
};

void add_chat_options(CLI::App& command, ChatFlags& flags);

/// Throws UsageError where there are parts of a conversation without --chat.
void require_chat(const ChatFlags& flags);

/// The conversation that is asked for; nothing without --chat. `prompt` is the last thing that the user says; without
/// it and without --messages standard input is. Throws UsageError where options don't go together or nothing is said.
std::optional<ChatRequest> chat_request(const ChatFlags& flags, const std::optional<std::string>& prompt);

}  // namespace mformer::cli
