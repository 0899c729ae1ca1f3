#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "core/formats/chat_format.h"
#include "core/text/chat_messages.h"
#include "core/text/jinja_process.h"

namespace mformer {

class Tokenizer;

/// A conversation as text for a tokenizer.
struct ChatText {
  std::string text;
  /// Ascending places inside the names of special tokens that stand in a turn's own words: cut there, the text is
  /// encoded part by part, and the names are text like any other. Whoever writes "<|im_end|>" ends no turn.
  std::vector<std::size_t> cuts;
};

/// The same for training: `edges` as in Record (records.h), each of the cuts twice among them.
struct ChatDocument {
  std::string text;
  std::vector<std::size_t> edges;
};

/// How a model's conversations are written: its Jinja template, run apart (JinjaProcess). The text is that of
/// `apply_chat_template(tokenize=False)` of transformers. Immutable; may be used in many threads at once.
class ChatTemplate {
 public:
  /// What a template that asks for the date gets, in seconds since 1970, where nobody says otherwise: 26 July 2024,
  /// which Llama's own templates write without a clock. Documents must be the same tomorrow.
  static constexpr std::int64_t kDate = 1721995200;

  /// Knows tokens by the format's names, and special ones, which are none in a turn's words, from the tokenizer.
  /// Nothing is run yet. `source` stands for the template in errors.
  ChatTemplate(const ChatFormat& format, const Tokenizer& tokenizer, std::string source = "the model's chat template",
               std::int64_t date = kDate);

  /// The text of a conversation; with `ask`, up to where the assistant is to speak. Throws as
  /// JinjaProcess::render(), and Error for text that has all of the characters by which turns'
  /// words are marked (U+FDD0 to U+FDEF, which no text should have).
  ChatText write(std::span<const ChatMessage> messages, bool ask) const;

  /// A conversation to learn from: the loss is on what the assistant says, from where it would be asked to the token
  /// that ends its turn (turn_end()), that one included. An answer that the conversation writes otherwise than after
  /// the same beginning alone counts for nothing. Throws as write(), and JinjaRefusal where no
  /// answer counts.
  ChatDocument document(std::span<const ChatMessage> messages) const;

  /// The name of the special token that ends the assistant's turn; empty where the template writes none.
  const std::string& turn_end() const;

  /// Ends the template's process until it is needed again (JinjaProcess::rest).
  void rest() const { process_.rest(); }

  /// Two equal ones write alike.
  std::string identity() const;

 private:
  std::string find_turn_end() const;
  std::size_t end_of_answer(std::span<const ChatMessage> messages, std::size_t i, const std::string& whole,
                            std::size_t begin, const std::string& mark) const;
  std::string marked(std::span<const ChatMessage> messages, bool ask, const std::string& mark) const;
  std::string mark_for(std::span<const ChatMessage> messages) const;
  std::string with_marks(const std::string& content, const std::string& mark) const;

  ChatFormat format_;
  std::vector<std::string> special_;
  std::int64_t date_;
  JinjaProcess process_;
  mutable std::once_flag looked_for_end_;
  mutable std::string turn_end_;
};

/// The format, with names for the tokens that begin and end a text where it has none: those of the ids, if they are
/// any.
ChatFormat with_token_names(ChatFormat format, const Tokenizer& tokenizer, std::int64_t bos, std::int64_t eos);

/// The ids of a conversation: special tokens that the template writes are these, in the words of a turn they are text.
std::vector<std::int32_t> encode_chat(const Tokenizer& tokenizer, const ChatText& chat);

}  // namespace mformer
