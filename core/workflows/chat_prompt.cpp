#include "core/workflows/chat_prompt.h"

#include "modules_registry/error.h"

namespace mformer {
namespace {

ChatFormat format_for(const LoadedVersion& version, const ChatRequest& request) {
  if (request.format) return *request.format;
  if (auto own = chat_format_of(version.model.config)) return *std::move(own);
  throw Error(
      "model '" + to_string(version.record) + "' has no chat template",
      "name one, chat_template.jinja of a model of its kind: --chat-template FILE; without --chat the prompt is "
      "continued as it stands");
}

}  // namespace

ChatPrompt chat_prompt(const LoadedVersion& version, const ChatRequest& request) {
  if (request.messages.empty() || request.messages.back().role == "assistant") {
    throw UsageError("the conversation has no question at its end: there is nothing to answer",
                     "say something: --prompt TEXT");
  }
  const Tokenizer& tokenizer = require_tokenizer(version);
  const ModelConfig& config = version.model.config;
  const ChatFormat format =
      with_token_names(format_for(version, request), tokenizer, config.bos_token_id, config.eos_token_id);
  const std::string source = request.format ? request.source : "the chat template of " + to_string(version.record);
  const ChatTemplate chat(format, tokenizer, source, request.date);
  ChatText written = chat.write(request.messages, /*ask=*/true);
  ChatPrompt prompt{"", encode_chat(tokenizer, written), tokenizer.id_of(chat.turn_end())};
  prompt.text = std::move(written.text);
  return prompt;
}

}  // namespace mformer
