#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>

namespace mformer {

/// A compiled pattern over well-formed UTF-8. Immutable; many threads may search at once, each with its own Scratch.
class Regex {
 public:
  /// Where a match lies, in bytes.
  struct Match {
    size_t begin, end;
  };

  /// Working memory of one thread, made on first use and good for any Regex.
  class Scratch {
   public:
    Scratch();
    ~Scratch();
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;

   private:
    friend class Regex;
    struct State;
    std::unique_ptr<State> state_;
  };

  /// Compiles a pattern written as in tokenizer.json (regex_dialect.h). Throws Error when it is not understood or
  /// matches the empty text.
  explicit Regex(std::string_view pattern);

  /// A pattern that matches exactly `text`.
  static Regex literal(std::string_view text);

  /// One character of a word, as the rules for added tokens have it.
  static Regex word_character();

  /// The first match that starts at byte `from` or later; lookbehind sees all of `text`. `text` must be well-formed.
  /// Throws Error when the pattern needs more than 64 MiB of backtracking memory.
  std::optional<Match> find(std::string_view text, size_t from, Scratch& scratch) const;

 private:
  struct Code;
  explicit Regex(std::shared_ptr<const Code> code);
  std::shared_ptr<const Code> code_;
};

}  // namespace mformer
