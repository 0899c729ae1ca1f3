#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "core/text/chat_messages.h"

namespace mformer {

/// Which fields of a record are read as what.
class RecordFields {
 public:
  /// The known names, of which a record may have any form.
  RecordFields() = default;

  /// "prompt=instruction,completion=output": every record has this form, and its fields these names. Left of '=' stand
  /// the fields of one form: text; prompt and completion; question and answer; instruction, output and maybe input;
  /// messages. "" gives the known names. Throws UsageError for anything else.
  static RecordFields parse(const std::string& text);

  /// What parse() takes, in one spelling for one meaning.
  const std::string& str() const { return text_; }

  /// The name in the record of a field of the form; `role` itself where it was not renamed, "" where it is not to be
  /// read.
  std::string name(const std::string& role) const;

  /// Whether records of the form with this first field are read.
  bool reads(const std::string& first) const;

 private:
  std::string text_;
  std::vector<std::pair<std::string, std::string>> names_;
};

/// One record as text.
struct Record {
  enum class State {
    read,
    empty,  ///< nothing to learn from: a text or a field that is empty or null
    bad     ///< not read, for `problem`
  };
  State state = State::bad;
  std::string text;
  /// Where the loss is switched: on at the first of these bytes, off at the second, on at the third; {0} is all of it.
  std::vector<size_t> edges;
  /// Of a conversation its turns, for models that have a template of their own (chat_template.h).
  std::vector<ChatMessage> messages;
  /// Half a sentence of at most some tens of bytes, which follows "line 3 ".
  std::string problem;
};

/// The forms that are read, for hints.
extern const char* const kRecordForms;

/// The text of a record. How each form is written out, and where its loss lies, is docs/data.md's "Records"; this
/// function is the one place that decides it. Of several forms that a record has, the first in that order counts; a
/// field that is null counts as missing.
Record read_record(const nlohmann::json& record, const RecordFields& fields);

}  // namespace mformer
