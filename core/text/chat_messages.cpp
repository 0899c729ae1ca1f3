#include "core/text/chat_messages.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "core/text/lenient_json.h"
#include "modules_registry/error.h"
#include "modules_registry/printable.h"

namespace mformer {
namespace {

using nlohmann::json;
using std::string;

/// Why a message is not read. Thrown and caught inside this file.
struct MessageProblem {
  string text;
};

const json& part_of(const json& object, const char* name) {
  static const json kNull;
  const auto found = object.find(name);
  return found == object.end() ? kNull : *found;
}

/// A message's text: a string, or a list of parts of the type text.
string content_of(const json& message) {
  const json& value = part_of(message, message.contains("content") ? "content" : "value");
  if (value.is_string()) return value.get<string>();
  if (!value.is_array()) throw MessageProblem{"has a message without a text"};
  string text;
  for (const json& part : value) {
    const bool is_text = part.is_object() && part_of(part, "type") == "text" && part_of(part, "text").is_string();
    if (!is_text) throw MessageProblem{"has a message with a part that is no text"};
    text += part.at("text").get<string>();
  }
  return text;
}

string role_of(const json& message) {
  const json& value = part_of(message, message.contains("role") ? "role" : "from");
  if (!value.is_string()) throw MessageProblem{"has a message without a role"};
  const auto& name = value.get_ref<const string&>();
  if (name == "system" || name == "user" || name == "assistant") return name;
  if (name == "human") return "user";
  if (name == "gpt") return "assistant";
  constexpr std::size_t kMost = 40;
  throw MessageProblem{"has a message of the role '" + printable(name.substr(0, kMost)) +
                       (name.size() > kMost ? "…'" : "'") + ", which is not read"};
}

ChatMessage message_of(const json& message) {
  if (!message.is_object()) throw MessageProblem{"has a message that is no object"};
  ChatMessage read;
  read.role = role_of(message);
  for (const char* call : {"tool_calls", "function_call"}) {
    if (!part_of(message, call).empty()) throw MessageProblem{"has a message that calls a tool, which is not read"};
  }
  read.content = content_of(message);
  read.counts = read.role == "assistant" && part_of(message, "weight") != 0;
  return read;
}

}  // namespace

ReadMessages read_messages(const json& list) {
  ReadMessages read;
  if (!list.is_array()) return {{}, "has messages that are no list"};
  try {
    for (const json& message : list) read.messages.push_back(message_of(message));
  } catch (const MessageProblem& problem) {
    return {{}, problem.text};
  }
  return read;
}

std::vector<ChatMessage> parse_messages(const string& text, const string& source) {
  const char* hint = R"(it is a list of turns: [{"role": "user", "content": "Hello"}])";
  const LenientJson parsed = read_lenient_json(text);
  if (!parsed.problem.empty())
    throw Error(source + " " + parsed.problem + ", at byte " + std::to_string(parsed.at), hint);
  const bool named = parsed.value.is_object();
  const json& list = !named                              ? parsed.value
                     : parsed.value.contains("messages") ? part_of(parsed.value, "messages")
                                                         : part_of(parsed.value, "conversations");
  ReadMessages read = read_messages(list);
  if (!read.problem.empty()) throw Error(source + " " + read.problem, hint);
  if (read.messages.empty()) throw Error(source + " has no message", hint);
  return std::move(read.messages);
}

}  // namespace mformer
