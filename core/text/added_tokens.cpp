#include "core/text/added_tokens.h"

#include <algorithm>
#include <utility>

#include "core/text/char_class.h"
#include "core/text/utf8.h"

namespace mformer {
namespace {

const AddedToken* longest_at(const std::vector<const AddedToken*>& candidates, std::string_view text) {
  for (const AddedToken* token : candidates) {
    if (text.starts_with(token->looked_for)) return token;
  }
  return nullptr;
}

bool is_one_of(const CharClass& members, std::string_view character) {
  return !character.empty() && members.contains(utf8_decode(character));
}

std::string_view first_character(std::string_view text) {
  return text.substr(0, utf8_length(text));
}

/// Empty when `text` does not end in a well-formed character.
std::string_view last_character(std::string_view text) {
  for (size_t length = 1; length <= std::min<size_t>(4, text.size()); ++length) {
    const auto tail = text.substr(text.size() - length);
    if (utf8_length(tail) == length) return tail;
  }
  return {};
}

/// Where the white space that ends at `end` begins, but not before `floor`.
size_t spaces_before(std::string_view text, size_t end, size_t floor) {
  while (end > floor) {
    const auto last = last_character(text.substr(0, end));
    if (!is_one_of(CharClass::space(), last)) break;
    end -= last.size();
  }
  return std::max(end, floor);
}

size_t spaces_after(std::string_view text, size_t begin) {
  while (begin < text.size()) {
    const auto first = first_character(text.substr(begin));
    if (!is_one_of(CharClass::space(), first)) break;
    begin += first.size();
  }
  return begin;
}

bool stands_alone(std::string_view text, size_t begin, size_t end) {
  return !is_one_of(CharClass::word(), last_character(text.substr(0, begin))) &&
         !is_one_of(CharClass::word(), first_character(text.substr(end)));
}

}  // namespace

AddedTokens::AddedTokens(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
  for (AddedToken& token : tokens_) {
    if (token.looked_for.empty()) token.looked_for = token.content;
    Candidates& pass = passes_.at(token.normalized ? 1 : 0);
    pass.at(static_cast<uint8_t>(token.looked_for.front())).push_back(&token);
  }
  for (Candidates& pass : passes_) {
    for (auto& candidates : pass) {
      std::ranges::stable_sort(candidates, std::greater<>{}, [](const AddedToken* t) { return t->looked_for.size(); });
    }
  }
}

void AddedTokens::split(Pass pass, std::string_view text, bool special_as_text, const Sink& sink) const {
  const Candidates& tokens = passes_.at(pass == Pass::normalized ? 1 : 0);
  size_t done = 0;
  for (size_t at = 0; at < text.size();) {
    const auto& candidates = tokens.at(static_cast<uint8_t>(text[at]));
    const AddedToken* token = candidates.empty() ? nullptr : longest_at(candidates, text.substr(at));
    if (token == nullptr) {
      ++at;
      continue;
    }
    size_t begin = at;
    size_t end = at + token->looked_for.size();
    at = end;
    if (special_as_text && token->special) continue;
    if (token->single_word && !stands_alone(text, begin, end)) continue;
    if (token->lstrip) begin = spaces_before(text, begin, std::min(done, begin));
    if (token->rstrip) end = spaces_after(text, end);
    // A token of spaces may lie inside what the one before it took along: it counts all the same.
    if (done < begin) sink(text.substr(done, begin - done), -1);
    sink(text.substr(begin, end - begin), token->id);
    done = end;
  }
  if (done < text.size()) sink(text.substr(done), -1);
}

}  // namespace mformer
