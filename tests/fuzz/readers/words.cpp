// What users and scripts write in one word, and patterns and templates of files.

#include "core/text/jinja_process.h"
#include "core/text/jinja_spaces.h"
#include "core/text/records.h"
#include "core/text/regex.h"
#include "core/text/utf8.h"
#include "core/workspace/parse_range.h"
#include "core/workspace/selector_syntax.h"
#include "modules_registry/printable.h"
#include "modules_registry/shell_word.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/readers.h"

namespace mformer::fuzz {
namespace {

std::string_view valid_part(std::string_view text) {
  return text.substr(0, utf8_valid_prefix(text));
}

/// Reads it, whatever comes of it.
template <typename Read>
void try_to(const Read& read) {
  try {
    read();
  } catch (const Error&) {
    // Each is asked by itself elsewhere.
  }
}

}  // namespace

/// A selector; and whatever else is asked of such a word, which need not be one.
void read_words(std::string_view input) {
  const std::string word(input);
  must(is_printable(printable(word)), "what is made printable is");
  must(is_printable(shell_word(word)), "a word for a hint is printable");
  try_to([&] { read_range(word); });
  try_to([&] { parse_range(word, 4, "--layers"); });
  try_to([&] {
    must(RecordFields::parse(RecordFields::parse(word).str()).str() == RecordFields::parse(word).str(),
         "fields have one spelling");
  });
  for (const SelectorClause& clause : read_selector(word)) {
    must(clause.first >= 0 && clause.last >= 0, "a range has no negative end");
    must(clause.share >= 0 && clause.share <= 1, "a share is a share");
  }
}

/// A pattern and, after a byte 0, a text for it.
void read_regex(std::string_view input) {
  const std::size_t end = std::min(input.find('\0'), input.size());
  const Regex regex(valid_part(input.substr(0, end)));
  const std::string_view text =
      valid_part(end < input.size() ? input.substr(end + 1) : "Hello, world's 123 tests\n 漢字");
  Regex::Scratch scratch;
  std::size_t last = 0;
  regex.for_each_match(text, scratch, [&](const Regex::Match& match) {
    must(match.begin >= last && match.begin <= match.end && match.end <= text.size(),
         "matches lie in the text, in order");
    last = match.end;
  });
}

/// A template of chats, in its own process as always: whatever it does, this one goes on.
void read_template(std::string_view input) {
  with_spaces_done(input);
  const JinjaProcess process(std::string(input), "the input");
  process.render(R"({"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}],)"
                 R"("add_generation_prompt":true,"bos_token":"<s>","eos_token":"</s>"})");
}

}  // namespace mformer::fuzz
