#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/decoding/decoding_view.h"
#include "core/text/chat_template.h"
#include "core/workspace/version_store.h"

namespace mformer {

/// What a model reads before it writes.
struct ServedPrompt {
  std::string text;
  std::vector<std::int64_t> ids;
  std::optional<std::int64_t> turn_end;  ///< Of a conversation: the token that ends the assistant's turn.
};

/// A version as askers see it: its names, and how their texts become tokens. Any thread. The weights are elsewhere
/// (Scheduler).
class ServedModel {
 public:
  /// Leaves `version` without its model, whose views the scheduler gets. `name` is what the model may be called beside
  /// name@N. Throws Error where the version has no tokenizer or a chat template that can't be used.
  ServedModel(LoadedVersion& version, const std::string& name);

  const VersionRecord& record() const { return record_; }
  const Tokenizer& tokenizer() const { return tokenizer_; }
  const std::vector<std::string>& hypotheses() const { return hypotheses_; }
  /// All names: of the model the hypothesis is none, since the posterior over births decides.
  const std::map<std::string, std::optional<std::size_t>>& names() const { return names_; }
  const std::vector<std::int64_t>& ends() const { return ends_; }
  std::int64_t context() const { return context_; }  ///< Tokens for which the model was made.
  std::int64_t rows() const { return rows_; }        ///< Of the embedding: ids from 0 on.
  bool chats() const { return chat_.has_value(); }

  /// A text to go on with, with what the tokenizer puts before every one; one that has no token begins a document.
  /// Throws UsageError where nothing is known that begins one.
  ServedPrompt prompt(const std::string& text) const;
  /// The same of ids, which stay as they are.
  ServedPrompt prompt(std::vector<std::int64_t> ids) const;
  /// A conversation. Throws Error where the model has no template, UsageError where there is nothing to answer, and as
  /// ChatTemplate::write().
  ServedPrompt chat(std::span<const ChatMessage> messages) const;

 private:
  VersionRecord record_;
  Tokenizer tokenizer_;
  std::vector<std::string> hypotheses_;
  std::map<std::string, std::optional<std::size_t>> names_;
  std::vector<std::int64_t> ends_;
  std::int64_t context_, rows_;
  std::optional<ChatTemplate> chat_;
};

}  // namespace mformer
