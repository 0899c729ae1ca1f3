#include "core/text/added_tokens.h"

#include <algorithm>
#include <utility>

#include "core/text/utf8.h"

namespace mformer {
namespace {

const AddedToken* longest_at(const std::vector<const AddedToken*>& candidates, std::string_view text) {
  for (const AddedToken* token : candidates) {
    if (text.starts_with(token->content)) return token;
  }
  return nullptr;
}

bool matches(const Regex& single, std::string_view character, Regex::Scratch& scratch) {
  return !character.empty() && single.find(character, 0, scratch).has_value();
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
size_t spaces_before(const Regex& space, std::string_view text, size_t end, size_t floor, Regex::Scratch& scratch) {
  while (end > floor) {
    const auto last = last_character(text.substr(0, end));
    if (!matches(space, last, scratch)) break;
    end -= last.size();
  }
  return std::max(end, floor);
}

size_t spaces_after(const Regex& space, std::string_view text, size_t begin, Regex::Scratch& scratch) {
  while (begin < text.size()) {
    const auto first = first_character(text.substr(begin));
    if (!matches(space, first, scratch)) break;
    begin += first.size();
  }
  return begin;
}

}  // namespace

AddedTokens::AddedTokens(std::vector<AddedToken> tokens)
    : tokens_(std::move(tokens)), space_(R"(\s)"), word_(Regex::word_character()) {
  for (const AddedToken& token : tokens_) {
    passes_.at(token.normalized ? 1 : 0).at(static_cast<uint8_t>(token.content.front())).push_back(&token);
  }
  for (Pass& pass : passes_) {
    for (auto& candidates : pass) {
      std::ranges::stable_sort(candidates, std::greater<>{}, [](const AddedToken* t) { return t->content.size(); });
    }
  }
}

void AddedTokens::split(std::string_view text, bool special_as_text, Regex::Scratch& scratch, const Sink& sink) const {
  split_pass(passes_[0], text, special_as_text, scratch, [&](std::string_view part, int32_t id) {
    if (id >= 0) {
      sink(part, id);
    } else {
      split_pass(passes_[1], part, special_as_text, scratch, sink);
    }
  });
}

bool AddedTokens::stands_alone(std::string_view text, size_t begin, size_t end, Regex::Scratch& scratch) const {
  return !matches(word_, last_character(text.substr(0, begin)), scratch) &&
         !matches(word_, first_character(text.substr(end)), scratch);
}

void AddedTokens::split_pass(const Pass& pass, std::string_view text, bool special_as_text, Regex::Scratch& scratch,
                             const Sink& sink) const {
  size_t done = 0;
  for (size_t at = 0; at < text.size();) {
    const auto& candidates = pass.at(static_cast<uint8_t>(text[at]));
    const AddedToken* token = candidates.empty() ? nullptr : longest_at(candidates, text.substr(at));
    if (token == nullptr) {
      ++at;
      continue;
    }
    size_t begin = at;
    size_t end = at + token->content.size();
    at = end;
    if (special_as_text && token->special) continue;
    if (token->single_word && !stands_alone(text, begin, end, scratch)) continue;
    if (token->lstrip) begin = spaces_before(space_, text, begin, std::min(done, begin), scratch);
    if (token->rstrip) end = spaces_after(space_, text, end, scratch);
    // A token of spaces may lie inside what the one before it took along: it counts all the same.
    if (done < begin) sink(text.substr(done, begin - done), -1);
    sink(text.substr(begin, end - begin), token->id);
    done = end;
  }
  if (done < text.size()) sink(text.substr(done), -1);
}

}  // namespace mformer
