#include "core/workspace/selector_syntax.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>

#include "core/text/utf8.h"
#include "core/workspace/parse_range.h"
#include "modules_registry/error.h"
#include "modules_registry/printable.h"
#include "modules_registry/suggest.h"

namespace mformer {
namespace {

using What = SelectorClause::What;

constexpr std::size_t kQuoted = 80;        // bytes of a clause that an error repeats
constexpr std::size_t kLongestName = 100;  // as require_valid_name() says

[[noreturn]] void refuse(const std::string& clause, const std::string& hint = "") {
  static const std::vector<std::string> known = {"all",      "kind=mlp",        "layer=0-3",        "index=4",
                                                 "uid=3f2a", "born=extend:de",  "domain=german",    "frozen",
                                                 "unfrozen", "share(qa)>=0.02", "top-share(qa)=0.9"};
  const std::string shown = quotable(clause);
  throw UsageError("the selector clause '" + shown + "' can't be read",
                   hint.empty() ? suggestion_hint(shown, known, "clauses", "") : hint);
}

std::string trimmed(const std::string& text) {
  const auto first = text.find_first_not_of(" \t"), last = text.find_last_not_of(" \t");
  return first == std::string::npos ? "" : text.substr(first, last - first + 1);
}

void require_short_name(const std::string& name, const std::string& clause) {
  if (name.size() > kLongestName) refuse(clause, "names of tasks and domains have at most 100 bytes");
}

double number_of(const std::string& text, const std::string& clause) {
  double value = 0;
  const char* end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, value);
  if (read.ec == std::errc() && read.ptr == end && value >= 0.0 && value <= 1.0) return value;
  refuse(clause, "a share is a number between 0 and 1");
}

/// "share(qa)>=0.02" or "top-share(qa)=0.9"; `begin` is "share(" or "top-share(".
SelectorClause read_share(const std::string& clause, std::string_view begin, What what) {
  const std::size_t close = clause.find(')');
  if (close == std::string::npos || close == begin.size()) refuse(clause);
  require_short_name(clause.substr(begin.size(), close - begin.size()), clause);
  const std::string rest = trimmed(clause.substr(close + 1));
  SelectorClause read;
  read.what = what;
  read.task = clause.substr(begin.size(), close - begin.size());
  std::size_t signs = 0;
  while (signs < rest.size() && signs < 2 && std::string_view("<>=").find(rest[signs]) != std::string_view::npos) {
    ++signs;
  }
  read.comparison = rest.substr(0, signs);
  const std::vector<std::string> allowed =
      what == What::top_share ? std::vector<std::string>{"="} : std::vector<std::string>{">=", "<=", ">", "<"};
  if (std::find(allowed.begin(), allowed.end(), read.comparison) == allowed.end()) refuse(clause);
  read.share = number_of(trimmed(rest.substr(signs)), clause);
  return read;
}

SelectorClause read_birth(const std::string& clause, const std::string& value) {
  const std::size_t colon = value.find(':');
  SelectorClause read;
  read.what = What::born;
  read.name = value.substr(0, colon);
  if (colon != std::string::npos) read.task = value.substr(colon + 1);
  if (read.name.empty() || (colon != std::string::npos && read.task.empty())) {
    refuse(clause, "write a command, or a command and a task: born=extend, born=extend:de");
  }
  require_short_name(read.task, clause);
  return read;
}

SelectorClause read_places(const std::string& clause, const std::string& value, What what) {
  const auto range = read_range(value);
  if (!range.has_value()) refuse(clause, "write a number or a range such as 0-3");
  if (range->second < range->first) refuse(clause, "a range goes from the smaller to the larger number");
  SelectorClause read;
  read.what = what;
  read.first = range->first, read.last = range->second;
  return read;
}

/// "key=value".
SelectorClause read_pair(const std::string& clause) {
  const std::size_t sign = clause.find('=');
  if (sign == std::string::npos) refuse(clause);
  const std::string key = trimmed(clause.substr(0, sign)), value = trimmed(clause.substr(sign + 1));
  if (value.empty() || value.find_first_of(" \t") != std::string::npos) refuse(clause);
  SelectorClause read;
  read.name = value;
  if (key == "kind") {
    if (value != "att" && value != "mlp") refuse(clause, "kinds: att, mlp");
    read.what = What::kind, read.kind = kind_from_string(value);
  } else if (key == "uid") {
    if (value.find_first_not_of("0123456789abcdef") != std::string::npos) {
      refuse(clause, "identities have the digits 0-9 and a-f, as mformer inspect modules shows them");
    }
    read.what = What::uid;
  } else if (key == "domain") {
    require_short_name(value, clause);
    read.what = What::domain;
  } else if (key == "born") {
    return read_birth(clause, value);
  } else if (key == "layer" || key == "index") {
    return read_places(clause, value, key == "layer" ? What::layer : What::index);
  } else {
    refuse(clause);
  }
  return read;
}

SelectorClause read_clause(const std::string& clause) {
  SelectorClause read;
  if (clause == "all") return read;
  for (const auto& [word, what] : {std::pair{"frozen", What::frozen}, std::pair{"unfrozen", What::unfrozen}}) {
    if (clause != word) continue;
    read.what = what;
    return read;
  }
  for (const auto& [begin, what] :
       {std::pair<std::string_view, What>{"share(", What::share}, {"top-share(", What::top_share}}) {
    if (clause.starts_with(begin)) return read_share(clause, begin, what);
  }
  return read_pair(clause);
}

}  // namespace

std::vector<SelectorClause> read_selector(const std::string& selector) {
  if (utf8_valid_prefix(selector) != selector.size()) refuse(selector, "selectors are text in UTF-8");
  std::vector<SelectorClause> clauses;
  for (std::size_t begin = 0; begin <= selector.size();) {
    const std::size_t end = std::min(selector.find(',', begin), selector.size());
    const std::string clause = trimmed(selector.substr(begin, end - begin));
    if (clause.empty()) refuse(clause, "a selector is one or more clauses, for example: kind=mlp,layer=0-3");
    if (!is_printable(clause)) refuse(clause);
    clauses.push_back(read_clause(clause));
    begin = end + 1;
  }
  return clauses;
}

std::string quotable(const std::string& text) {
  std::string shown = replace_invalid_utf8(text.substr(0, kQuoted));
  if (text.size() > kQuoted) {
    // The cut may have gone through a character.
    if (shown.ends_with("\xef\xbf\xbd")) shown.resize(shown.size() - 3);
    shown += "…";
  }
  return printable(shown);
}

}  // namespace mformer
