#include "core/text/chat_template.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>
#include <utility>

#include "core/text/tokenizer.h"
#include "core/text/utf8.h"
#include "modules_registry/error.h"
#include "modules_registry/files.h"

namespace mformer {
namespace {

using std::string;

/// Raised when the same template and conversation give another text, or other edges, than before.
constexpr int kChatRules = 1;
constexpr std::string_view kBlanks = " \t\r\n";

/// The noncharacters U+FDD0 to U+FDEF, in UTF-8.
constexpr int kMarkCharacters = 32;
string mark_number(int number) {
  return {'\xEF', '\xB7', static_cast<char>(0x90 + number)};
}

/// Takes the marks out of a text, and notes where they were.
ChatText without_marks(const string& text, const string& mark) {
  ChatText plain;
  std::size_t done = 0;
  for (std::size_t at = text.find(mark); at != string::npos; at = text.find(mark, done)) {
    plain.text.append(text, done, at - done);
    plain.cuts.push_back(plain.text.size());
    done = at + mark.size();
  }
  plain.text.append(text, done);
  return plain;
}

/// What no turn's words may stand for: the tokenizer's special tokens, and those that the format names.
std::vector<string> names_to_guard(const Tokenizer& tokenizer, const ChatFormat& format) {
  std::vector<string> names = tokenizer.special_tokens();
  for (const auto& [role, name] : format.tokens) {
    if (tokenizer.id_of(name) && std::ranges::find(names, name) == names.end()) names.push_back(name);
  }
  std::erase_if(names, [](const string& name) { return name.size() <= utf8_length(name); });  // can't be cut
  return names;
}

/// The edges of the loss, in the text with marks, and both sides of each cut, in the text without.
ChatDocument with_edges(ChatText plain, const std::vector<std::size_t>& edges, std::size_t mark_bytes) {
  ChatDocument document{std::move(plain.text), {}};
  for (const std::size_t cut : plain.cuts) document.edges.insert(document.edges.end(), 2, cut);
  for (const std::size_t edge : edges) {
    std::size_t marks = 0;  // before the edge
    while (marks < plain.cuts.size() && plain.cuts[marks] + marks * mark_bytes < edge) ++marks;
    document.edges.push_back(edge - marks * mark_bytes);
  }
  std::ranges::sort(document.edges);
  return document;
}

}  // namespace

ChatTemplate::ChatTemplate(const ChatFormat& format, const Tokenizer& tokenizer, string source, std::int64_t date)
    : format_(format),
      special_(names_to_guard(tokenizer, format)),
      date_(date),
      process_(format.template_text, std::move(source)) {}

/// A character that none of the texts has.
string ChatTemplate::mark_for(std::span<const ChatMessage> messages) const {
  for (int number = 0; number < kMarkCharacters; ++number) {
    const string mark = mark_number(number);
    const auto has = [&](const string& text) { return text.find(mark) != string::npos; };
    const bool taken = has(format_.template_text) ||
                       std::ranges::any_of(messages, [&](const ChatMessage& message) { return has(message.content); });
    if (!taken) return mark;
  }
  throw Error("a conversation holds all of the characters U+FDD0 to U+FDEF, which are no text", "remove one of them");
}

/// The content with a mark inside each name of a special token.
string ChatTemplate::with_marks(const string& content, const string& mark) const {
  std::set<std::size_t> places;
  for (const string& name : special_) {
    for (std::size_t at = content.find(name); at != string::npos; at = content.find(name, at + 1)) {
      places.insert(at + utf8_length(name));
    }
  }
  string text;
  std::size_t done = 0;
  for (const std::size_t place : places) {
    text.append(content, done, place - done).append(mark);
    done = place;
  }
  return text.append(content, done);
}

string ChatTemplate::marked(std::span<const ChatMessage> messages, bool ask, const string& mark) const {
  nlohmann::ordered_json context = {{"messages", nlohmann::ordered_json::array()}};
  for (const ChatMessage& message : messages) {
    context["messages"].push_back(
        {{"role", message.role}, {"content", with_marks(replace_invalid_utf8(message.content), mark)}});
  }
  context["tools"] = nullptr;
  context["documents"] = nullptr;
  context["add_generation_prompt"] = ask;
  for (const auto& [name, token] : format_.tokens) context[name] = token;
  context["mformer_now"] = date_;
  return process_.render(context.dump());
}

ChatText ChatTemplate::write(std::span<const ChatMessage> messages, bool ask) const {
  const string mark = mark_for(messages);
  return without_marks(marked(messages, ask, mark), mark);
}

const string& ChatTemplate::turn_end() const {
  std::call_once(looked_for_end_, [this] { turn_end_ = find_turn_end(); });
  return turn_end_;
}

string ChatTemplate::find_turn_end() const {
  const std::vector<ChatMessage> turns = {{"user", "a"}, {"assistant", "b"}};
  string text, asked;
  try {
    text = write(turns, false).text;
    asked = write(std::span(turns).first(1), true).text;
  } catch (const JinjaRefusal&) {
    return "";  // the template takes no such conversation: what ends a turn is not to be known
  }
  if (!text.starts_with(asked)) return "";
  const std::size_t end = text.find_last_not_of(kBlanks) + 1;
  string longest;
  for (const string& name : special_) {
    const bool ends = end >= asked.size() + name.size() && text.compare(end - name.size(), name.size(), name) == 0;
    if (ends && name.size() > longest.size()) longest = name;
  }
  return longest;
}

/// Where in `whole` the answer of message `i` ends, which begins at `begin`; npos where that can't be told.
std::size_t ChatTemplate::end_of_answer(std::span<const ChatMessage> messages, std::size_t i, const string& whole,
                                        std::size_t begin, const string& mark) const {
  if (!turn_end().empty()) {
    const std::size_t found = whole.find(turn_end(), begin);
    return found == string::npos ? found : found + turn_end().size();
  }
  if (i + 1 == messages.size()) return whole.size();
  const string said = marked(messages.first(i + 1), false, mark);
  return whole.starts_with(said) ? said.size() : string::npos;
}

ChatDocument ChatTemplate::document(std::span<const ChatMessage> messages) const {
  const string mark = mark_for(messages);
  const string whole = marked(messages, false, mark);
  std::vector<std::size_t> edges;  // in `whole`
  for (std::size_t i = 0; i < messages.size(); ++i) {
    if (messages[i].role != "assistant") continue;
    const string asked = marked(messages.first(i), true, mark);
    if (!whole.starts_with(asked)) continue;
    const std::size_t begin = asked.size();
    // The end that was found for the answer before is this one's: it has none of its own.
    if (!edges.empty() && begin < edges.back()) edges.resize(edges.size() - 2);
    const std::size_t end = messages[i].counts ? end_of_answer(messages, i, whole, begin, mark) : string::npos;
    if (end == string::npos || end == begin) continue;
    edges.insert(edges.end(), {begin, end});
  }
  if (edges.empty()) {
    throw JinjaRefusal("the chat template writes no answer of the assistant's that can be learned from",
                       "a conversation to learn from has one");
  }
  // Where the last answer has no end of its own, the end of the document is learned.
  if (edges.back() == whole.size() && turn_end().empty()) edges.pop_back();
  return with_edges(without_marks(whole, mark), edges, mark.size());
}

string ChatTemplate::identity() const {
  string all = std::to_string(kChatRules) + '\n' + std::to_string(date_) + '\n' + format_.template_text;
  for (const auto& [name, token] : format_.tokens) all += '\n' + name + '=' + token;
  return sha256_hex(all);
}

ChatFormat with_token_names(ChatFormat format, const Tokenizer& tokenizer, std::int64_t bos, std::int64_t eos) {
  const auto name = [&](const char* role, std::int64_t id) {
    if (format.tokens.contains(role) || id < 0 || id >= tokenizer.vocab_size()) return;
    const auto token = static_cast<std::int32_t>(id);
    string text = tokenizer.decode(std::span(&token, 1));
    if (!text.empty() && utf8_valid_prefix(text) == text.size()) format.tokens[role] = std::move(text);
  };
  name("bos_token", bos);
  name("eos_token", eos);
  return format;
}

std::vector<std::int32_t> encode_chat(const Tokenizer& tokenizer, const ChatText& chat) {
  std::vector<std::int32_t> ids;
  std::size_t begin = 0;
  const auto add = [&](std::size_t end) {
    const auto part =
        tokenizer.encode(std::string_view(chat.text).substr(begin, end - begin), {.continues = begin > 0});
    ids.insert(ids.end(), part.begin(), part.end());
    begin = end;
  };
  for (const std::size_t cut : chat.cuts) add(cut);
  add(chat.text.size());
  return ids;
}

}  // namespace mformer
