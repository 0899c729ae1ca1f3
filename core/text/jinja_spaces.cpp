#include "core/text/jinja_spaces.h"

#include <algorithm>
#include <optional>

namespace mformer {
namespace {

constexpr std::string_view kJinjaSpaces = " \t\n\v\f\r";

/// Jinja reads all line ends as line feeds.
std::string with_line_feeds(std::string_view text) {
  std::string result;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const bool pair = text[at] == '\r' && at + 1 < text.size() && text[at + 1] == '\n';
    if (!pair) result += text[at] == '\r' ? '\n' : text[at];
  }
  return result;
}

/// "{{ … }}", "{% … %}" or "{# … #}".
struct JinjaTag {
  std::size_t begin = 0, end = 0;  ///< With its brackets.
  char kind = '%';                 ///< '{', '%' or '#'.
  char before = 0, after = 0;      ///< '-', '+' or 0: the signs inside the brackets.
};

/// Where the tag ends that begins at `begin`: its first closing bracket that stands in no text and in no other bracket.
std::size_t end_of_tag(std::string_view text, std::size_t begin, char kind) {
  const std::string close = kind == '{' ? "}}" : kind == '%' ? "%}" : "#}";
  if (kind == '#') {
    const std::size_t found = text.find(close, begin + 2);
    return found == std::string_view::npos ? found : found + 2;
  }
  int depth = 0;
  for (std::size_t at = begin + 2; at < text.size(); ++at) {
    const char c = text[at];
    if (depth == 0 && text.substr(at, 2) == close) return at + 2;
    if (c == '\'' || c == '"') {
      for (++at; at < text.size() && text[at] != c; ++at) at += text[at] == '\\' ? 1 : 0;
    } else if (c == '(' || c == '[' || c == '{') {
      ++depth;
    } else if (c == ')' || c == ']' || c == '}') {
      --depth;
    }
  }
  return std::string_view::npos;
}

std::optional<JinjaTag> next_tag(std::string_view text, std::size_t from) {
  for (std::size_t at = text.find('{', from); at != std::string_view::npos; at = text.find('{', at + 1)) {
    const char kind = at + 1 < text.size() ? text[at + 1] : ' ';
    if (kind != '{' && kind != '%' && kind != '#') continue;
    JinjaTag tag{at, end_of_tag(text, at, kind), kind};
    if (tag.end == std::string_view::npos) return std::nullopt;
    const bool has_inside = tag.end - tag.begin > 4;
    const char first = has_inside ? text[tag.begin + 2] : ' ', last = has_inside ? text[tag.end - 3] : ' ';
    if (first == '-' || (first == '+' && kind != '{')) tag.before = first;
    if (last == '-' || (last == '+' && kind != '{')) tag.after = last;
    return tag;
  }
  return std::nullopt;
}

}  // namespace

std::string with_spaces_done(std::string_view original) {
  std::string source = with_line_feeds(original);
  if (source.ends_with('\n')) source.pop_back();
  const std::string_view text = source;
  std::string result;
  std::size_t done = 0;
  bool at_line_start = true;
  while (const auto tag = next_tag(text, done)) {
    std::string_view words = text.substr(done, tag->begin - done);
    if (tag->before == '-') {
      words = words.substr(0, words.find_last_not_of(kJinjaSpaces) + 1);
    } else if (tag->before != '+' && tag->kind != '{') {
      const std::size_t line = words.rfind('\n') + 1;  // 0 where there is none
      const bool indents = words.find_first_not_of(kJinjaSpaces, line) == std::string_view::npos;
      if (indents && (line > 0 || at_line_start)) words = words.substr(0, line);
    }
    // An opening bracket of the text that now stands beside the tag's would be read with it.
    const std::size_t braces = words.size() - (words.find_last_not_of('{') + 1);
    result += words.substr(0, words.size() - braces);
    if (braces > 0) result += "{{ '" + std::string(braces, '{') + "' }}";
    if (tag->kind != '#') {
      const std::size_t signs = (tag->before != 0 ? 1 : 0) + (tag->after != 0 ? 1 : 0);
      result += text.substr(tag->begin, 2);
      result += text.substr(tag->begin + 2 + (tag->before != 0 ? 1 : 0), tag->end - tag->begin - 4 - signs);
      result += text.substr(tag->end - 2, 2);
    }
    done = tag->end;
    if (tag->after == '-') {
      done = std::min(text.find_first_not_of(kJinjaSpaces, done), text.size());
    } else if (tag->after != '+' && tag->kind != '{' && text.substr(done, 1) == "\n") {
      ++done;
    }
    at_line_start = text[done - 1] == '\n';
  }
  return result.append(text.substr(done));
}

}  // namespace mformer
