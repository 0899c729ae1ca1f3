#include "cli/token_ids.h"

#include <charconv>

#include "cli/terminal/text.h"
#include "modules_registry/error.h"

namespace mformer::cli {
namespace {

constexpr int widest_excerpt = 40;

std::string joined(std::span<const int32_t> ids, char separator) {
  std::string text;
  for (const int32_t id : ids) {
    if (!text.empty()) text += separator;
    text += std::to_string(id);
  }
  return text;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view blanks = " \t\r";
  const size_t first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

[[noreturn]] void refuse(std::string_view what, int64_t number) {
  const std::string excerpt = terminal::shorten(terminal::printable(what), widest_excerpt, false);
  throw UsageError("line " + std::to_string(number) + " of the input: '" + excerpt + "' is no token id",
                   "write ids as 17 4 2 or as [17, 4, 2]");
}

int32_t known_id(const Tokenizer& tokenizer, std::string_view word, int64_t number) {
  int32_t id = 0;
  const auto [stopped, problem] = std::from_chars(word.data(), word.data() + word.size(), id);
  if (problem != std::errc() || stopped != word.data() + word.size()) refuse(word, number);
  if (!tokenizer.contains(id)) {
    throw UsageError("line " + std::to_string(number) + " of the input: the tokenizer has no id " + std::to_string(id),
                     "its ids are below " + std::to_string(tokenizer.vocab_size()));
  }
  return id;
}

/// Cuts the word before the first of `separators` off the front of `text`.
std::string_view take_word(std::string_view& text, std::string_view separators) {
  const size_t end = std::min(text.find_first_of(separators), text.size());
  const std::string_view word = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return word;
}

}  // namespace

std::string as_json_line(std::span<const int32_t> ids) {
  return '[' + joined(ids, ',') + "]\n";
}

std::string as_plain_line(std::span<const int32_t> ids) {
  return joined(ids, ' ') + '\n';
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) lines.push_back(take_word(text, "\n"));
  return lines;
}

std::vector<int32_t> known_ids(const Tokenizer& tokenizer, std::string_view line, int64_t number) {
  std::string_view rest = trimmed(line);
  const bool array = rest.starts_with('[');
  if (array) {
    if (!rest.ends_with(']')) refuse(rest, number);
    rest = trimmed(rest.substr(1, rest.size() - 2));
  }
  std::vector<int32_t> ids;
  while (!rest.empty()) {
    const std::string_view word = trimmed(take_word(rest, array ? "," : " \t\r"));
    if (!word.empty() || array) ids.push_back(known_id(tokenizer, word, number));
  }
  return ids;
}

}  // namespace mformer::cli
