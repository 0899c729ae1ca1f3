#include "core/text/records.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/text/chat_messages.h"
#include "core/text/utf8.h"
#include "modules_registry/error.h"
#include "modules_registry/printable.h"

namespace mformer {
namespace {

using nlohmann::json;
using std::string;

/// The forms in the order in which they are looked for; fields that a form may lack come last.
struct Form {
  std::vector<string> needed;
  std::vector<string> optional;
};
const std::array<Form, 6>& forms() {
  static const std::array<Form, 6> kForms = {{{{"text"}, {}},
                                              {{"prompt", "completion"}, {}},
                                              {{"question", "answer"}, {}},
                                              {{"messages"}, {}},
                                              {{"conversations"}, {}},
                                              {{"instruction", "output"}, {"input"}}}};
  return kForms;
}

bool holds(const std::vector<string>& names, const string& name) {
  return std::ranges::find(names, name) != names.end();
}

string quoted(const string& name) {
  constexpr size_t kMost = 40;
  return "'" + printable(name.substr(0, kMost)) + (name.size() > kMost ? "…'" : "'");
}

/// Why a record is not read. Thrown and caught inside this file.
struct Problem {
  string text;
};

/// A record being written out.
class Writer {
 public:
  void silent(const string& text) { add(text, false); }
  void counted(const string& text) { add(text, true); }
  void turn(ChatMessage message) { record_.messages.push_back(std::move(message)); }

  Record finish() && {
    record_.state = record_.text.empty() ? Record::State::empty : Record::State::read;
    return std::move(record_);
  }

 private:
  void add(const string& text, bool counts) {
    // An odd number of edges: the loss is on.
    if ((record_.edges.size() % 2 == 1) != counts) record_.edges.push_back(record_.text.size());
    record_.text += text;
  }

  Record record_;
};

const json& field(const json& record, const string& name) {
  static const json kNull;
  const auto found = record.find(name);
  return found == record.end() ? kNull : *found;
}

string text_of(const json& record, const string& name) {
  const json& value = field(record, name);
  if (value.is_null()) return "";
  if (!value.is_string()) throw Problem{"has a field " + quoted(name) + " that is no text"};
  return value.get<string>();
}

/// "User: …⏎Assistant: …", the loss on what the assistant says. What comes after an answer that is not the last counts
/// for nothing, so that the only end which is learned is the end of the text.
void write_messages(const json& list, Writer& out) {
  ReadMessages read = read_messages(list);
  if (!read.problem.empty()) throw Problem{read.problem};
  bool first = true, answered = false;
  for (ChatMessage& message : read.messages) {
    const char* name = message.role == "system" ? "System:" : message.role == "user" ? "User:" : "Assistant:";
    out.silent(string(std::exchange(first, false) ? "" : "\n") + name);
    message.counts ? out.counted(" " + message.content) : out.silent(" " + message.content);
    answered = answered || message.counts;
    out.turn(std::move(message));
  }
  if (!answered) throw Problem{"has no message of the assistant's to learn from"};
}

void write_form(const json& record, const RecordFields& fields, const string& first, Writer& out) {
  const auto text = [&](const char* role) { return text_of(record, fields.name(role)); };
  if (first == "text") {
    out.counted(text("text"));
  } else if (first == "prompt") {
    out.silent(text("prompt") + "\n");
    out.counted(text("completion"));
  } else if (first == "question") {
    out.silent("Q: " + text("question") + "\nA:");
    out.counted(" " + text("answer"));
  } else if (first == "instruction") {
    const string input = fields.name("input").empty() ? "" : text("input");
    out.silent(text("instruction") + "\n" + (input.empty() ? "" : input + "\n"));
    out.counted(text("output"));
  } else {
    write_messages(field(record, fields.name(first)), out);
  }
}

/// The form of the record; with `nulls`, fields may be there and null.
const Form* form_of(const json& record, const RecordFields& fields, bool nulls) {
  for (const Form& form : forms()) {
    const bool fits = fields.reads(form.needed[0]) && std::ranges::all_of(form.needed, [&](const string& role) {
                        const auto found = record.find(fields.name(role));
                        return found != record.end() && (nulls || !found->is_null());
                      });
    if (fits) return &form;
  }
  return nullptr;
}

/// Why a record has no form.
string without_form(const json& record, const RecordFields& fields) {
  if (!fields.str().empty()) return "lacks a field that --fields names";
  if (record.empty()) return "has no field";
  constexpr size_t kMost = 3;
  string names;
  size_t shown = 0;
  for (const auto& [name, value] : record.items()) {
    if (shown++ == kMost) break;
    names += (names.empty() ? "" : ", ") + quoted(name);
  }
  return "has only fields that say nothing: " + names + (record.size() > kMost ? ", …" : "");
}

/// The form whose fields these are, or null.
const Form* form_with(const std::vector<string>& roles) {
  for (const Form& form : forms()) {
    const bool known = std::ranges::all_of(
        roles, [&](const string& role) { return holds(form.needed, role) || holds(form.optional, role); });
    const bool whole = std::ranges::all_of(form.needed, [&](const string& role) { return holds(roles, role); });
    if (known && whole) return &form;
  }
  return nullptr;
}

[[noreturn]] void refuse_fields(const string& text) {
  throw UsageError("--fields " + quoted(text) + " names no form of record",
                   "text=A; prompt=A,completion=B; question=A,answer=B; instruction=A,output=B and maybe input=C; or "
                   "messages=A, where A, B, C are names in the data");
}

}  // namespace

const char* const kRecordForms =
    R"(a record is {"text"}, {"prompt", "completion"}, {"question", "answer"}, {"messages"}, {"conversations"} or )"
    R"({"instruction", "output"}; where the fields have other names: --fields prompt=NAME,completion=NAME)";

RecordFields RecordFields::parse(const string& text) {
  RecordFields fields;
  std::vector<string> roles;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    const string pair = text.substr(at, end - at);
    const size_t equals = pair.find('=');
    if (equals == string::npos || equals + 1 == pair.size() || end + 1 == text.size()) refuse_fields(text);
    roles.push_back(pair.substr(0, equals));
    fields.names_.emplace_back(roles.back(), pair.substr(equals + 1));
    at = end + 1;
  }
  if (roles.empty()) return fields;
  std::ranges::sort(fields.names_);
  const auto twice = std::ranges::adjacent_find(fields.names_, {}, &std::pair<string, string>::first);
  if (form_with(roles) == nullptr || twice != fields.names_.end()) refuse_fields(text);
  for (const auto& [role, name] : fields.names_) fields.text_ += (fields.text_.empty() ? "" : ",") + role + "=" + name;
  return fields;
}

string RecordFields::name(const string& role) const {
  if (names_.empty()) return role;
  for (const auto& [known, name] : names_) {
    if (known == role) return name;
  }
  return "";
}

bool RecordFields::reads(const string& first) const {
  return !name(first).empty();
}

Record read_record(const json& record, const RecordFields& fields) {
  Record result;
  if (!record.is_object()) {
    result.problem = "is no JSON object";
    return result;
  }
  const Form* form = form_of(record, fields, /*nulls=*/false);
  if (form == nullptr) {
    const bool null = form_of(record, fields, /*nulls=*/true) != nullptr;
    if (null) result.state = Record::State::empty;
    result.problem = null ? "" : without_form(record, fields);
    return result;
  }
  try {
    Writer out;
    write_form(record, fields, form->needed[0], out);
    return std::move(out).finish();
  } catch (const Problem& problem) {
    result.problem = problem.text;
    return result;
  }
}

}  // namespace mformer
