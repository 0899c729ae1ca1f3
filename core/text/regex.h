#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace mformer {

/// A compiled pattern over well-formed UTF-8, in the dialect of tokenizer.json: that of Oniguruma, the engine of the
/// `tokenizers` package, with the characters of Unicode 16. A few well-known patterns run on PCRE2, which matches them
/// alike and faster (fast_patterns.h). Immutable; many threads may search at once, each with its own Scratch.
class Regex {
 public:
  /// Where a match lies, in bytes.
  struct Match {
    size_t begin, end;
  };

  /// What searches: one of the two libraries, or a plain search for a text.
  class Engine;
  enum class Library { fastest, oniguruma };

  /// Working memory of one thread, made on first use and good for any Regex.
  class Scratch {
   public:
    Scratch();
    ~Scratch();
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    struct State;
    State& state() { return *state_; }

   private:
    std::unique_ptr<State> state_;
  };

  /// Compiles a pattern written as in tokenizer.json. Throws Error, which quotes the pattern, when it is none or uses
  /// what is not supported: \X, \y, \Y, callouts, blocks ("In_…"), ages, and properties that no tokenizer is known for.
  explicit Regex(std::string_view pattern, Library library = Library::fastest);

  /// A pattern that matches exactly `text`, which must not be empty.
  static Regex literal(std::string_view text);

  /// The first match that starts at byte `from` or later, which may be empty; lookbehind sees all of `text`, which must
  /// be well-formed. Throws Error when the pattern needs too many steps or too much memory on this text; a search from
  /// byte 0 starts the count of steps anew.
  std::optional<Match> find(std::string_view text, size_t from, Scratch& scratch) const;

  /// Calls `sink` with each match in turn. As in the package, an empty match right after a match doesn't count.
  template <typename Sink>
  void for_each_match(std::string_view text, Scratch& scratch, Sink&& sink) const {
    size_t from = 0;
    size_t last_end = std::string_view::npos;
    while (from <= text.size()) {
      const auto match = find(text, from, scratch);
      if (!match) return;
      if (match->begin == match->end && match->end == last_end) {
        from += character_at(text, from);
        continue;
      }
      sink(*match);
      from = last_end = match->end;
    }
  }

 private:
  explicit Regex(std::shared_ptr<const Engine> engine);
  static size_t character_at(std::string_view text, size_t at);
  std::shared_ptr<const Engine> engine_;
};

/// `pattern` as it stands in messages: cut after 120 bytes.
std::string shown_pattern(std::string_view pattern);

}  // namespace mformer
