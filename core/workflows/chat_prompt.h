#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/text/chat_template.h"
#include "core/workspace/version_store.h"

namespace mformer {

/// A conversation that the model is to go on with.
struct ChatRequest {
  std::vector<ChatMessage> messages;        ///< At least one; the last is not the assistant's.
  std::optional<ChatFormat> format;         ///< Instead of the model's own.
  std::string source;                       ///< Of `format`, for errors: a file.
  std::int64_t date = ChatTemplate::kDate;  ///< For templates that ask for it, in seconds since 1970.
};

/// The conversation as its model reads it, up to where the assistant is to speak.
struct ChatPrompt {
  std::string text;
  std::vector<std::int32_t> ids;
  std::optional<std::int32_t> turn_end;  ///< The token that ends the assistant's turn, if the template writes one.
};

/// Throws UsageError where there is nothing to answer, Error where the model has no tokenizer or no template, and as
/// ChatTemplate::write().
ChatPrompt chat_prompt(const LoadedVersion& version, const ChatRequest& request);

}  // namespace mformer
