#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace mformer {

/// A Jinja template as minja reads it, with no bound on what it may cost: JinjaProcess runs it where that does no harm.
/// Spaces around blocks are treated as transformers does (with_spaces_done).
class JinjaEngine {
 public:
  /// Throws whatever minja throws for a text that is no template.
  explicit JinjaEngine(const std::string& text);
  ~JinjaEngine();

  /// The text for a context, a JSON object of the variables. Its number `mformer_now`, in seconds since 1970, is no
  /// variable: it makes the function `strftime_now`. Throws whatever minja throws, and what the template raises itself.
  std::string render(const std::string& context) const;

 private:
  struct Root;
  std::unique_ptr<Root> root_;
};

}  // namespace mformer
