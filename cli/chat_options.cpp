#include "cli/chat_options.h"

#include <unistd.h>

#include <ctime>
#include <iostream>

#include "cli/standard_streams.h"
#include "core/formats/input_file.h"
#include "modules_registry/error.h"
#include "modules_registry/files.h"

namespace mformer::cli {
namespace {

/// A line feed at its end is the shell's.
std::string standard_input_said() {
  if (isatty(STDIN_FILENO) != 0) std::cerr << "type what you say, and Ctrl-D at the end:\n";
  std::string text = read_standard_input();
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

}  // namespace

void require_chat(const ChatFlags& flags) {
  if (flags.chat) return;
  const char* name = !flags.system.empty()          ? "--system"
                     : !flags.messages.empty()      ? "--messages"
                     : !flags.chat_template.empty() ? "--chat-template"
                                                    : nullptr;
  if (name != nullptr) throw UsageError(std::string(name) + " is a part of a conversation", "add --chat");
}

void add_chat_options(CLI::App& command, ChatFlags& flags) {
  command.add_flag("--chat", flags.chat,
                   "Answer as the assistant, in the model's own chat template; the prompt, or else standard input, is "
                   "what the user says");
  command.add_option("--system", flags.system, "With --chat: what the model is told before the conversation")
      ->type_name("TEXT");
  command
      .add_option("--messages", flags.messages,
                  "With --chat: a conversation to go on with, a JSON file of messages, each a role and a content")
      ->type_name("FILE");
  command
      .add_option("--chat-template", flags.chat_template,
                  "With --chat: a Jinja template, such as chat_template.jinja; default: the model's own")
      ->type_name("FILE");
}

std::optional<ChatRequest> chat_request(const ChatFlags& flags, const std::optional<std::string>& prompt) {
  if (!flags.chat) return std::nullopt;
  ChatRequest request;
  request.date = std::time(nullptr);
  if (!flags.chat_template.empty()) {
    request.format = read_chat_template(flags.chat_template);
    request.source = "the chat template in '" + flags.chat_template + "'";
  }
  if (!flags.messages.empty()) {
    request.messages =
        parse_messages(read_bounded_file(flags.messages, kMostJsonBytes, "a conversation"), "'" + flags.messages + "'");
  }
  if (!flags.system.empty()) {
    if (!request.messages.empty() && request.messages.front().role == "system") {
      throw UsageError("'" + flags.messages + "' begins with a system message already", "leave --system out");
    }
    request.messages.insert(request.messages.begin(), {"system", flags.system, false});
  }
  if (prompt || flags.messages.empty()) {
    const std::string said = prompt ? *prompt : standard_input_said();
    if (said.empty()) throw UsageError("the user says nothing", "say something: --prompt TEXT");
    request.messages.push_back({"user", said, false});
  }
  return request;
}

}  // namespace mformer::cli
