#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace mformer {

/// A turn of a conversation.
struct ChatMessage {
  std::string role;  ///< "system", "user" or "assistant".
  std::string content;
  bool counts = true;  ///< Whether it is learned from; that of others than the assistant never is.

  bool operator==(const ChatMessage&) const = default;
};

/// A conversation as JSON has it.
struct ReadMessages {
  std::vector<ChatMessage> messages;
  std::string problem;  ///< "" when it was read; else half a sentence of at most some tens of bytes: "has …".
};

/// The turns of a list of `role` and `content`, or of `from` (`human`, `gpt`) and `value`; a content may be a list of
/// parts of the type text. Not read: other roles, calls of tools, parts that are no text. Never throws.
ReadMessages read_messages(const nlohmann::json& list);

/// The same from a file's text: a list, or an object that has it as `messages` or `conversations`. `source` stands for
/// the file in errors. Throws Error for what is no conversation, or an empty one.
std::vector<ChatMessage> parse_messages(const std::string& text, const std::string& source);

}  // namespace mformer
