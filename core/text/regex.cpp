#include "core/text/regex.h"

#include <utility>

#include "core/text/fast_patterns.h"
#include "core/text/json_fields.h"
#include "core/text/regex_engine.h"
#include "core/text/utf8.h"
#include "modules_registry/error.h"
#include "modules_registry/printable.h"

namespace mformer {
namespace {

class LiteralEngine : public Regex::Engine {
 public:
  explicit LiteralEngine(std::string_view text) : text_(text) {}
  std::optional<Regex::Match> find(std::string_view text, size_t from, Regex::Scratch& /*scratch*/) const override {
    const size_t at = text.find(text_, from);
    if (at == std::string_view::npos) return std::nullopt;
    return Regex::Match{at, at + text_.size()};
  }

 private:
  std::string text_;
};

std::shared_ptr<const Regex::Engine> engine_for(std::string_view pattern, Regex::Library library) {
  const auto fast = library == Regex::Library::fastest ? fast_pcre2_pattern(pattern) : std::nullopt;
  return fast ? make_pcre2_engine(*fast) : make_oniguruma_engine(pattern);
}

}  // namespace

Regex::Scratch::Scratch() : state_(std::make_unique<State>()) {}
Regex::Scratch::~Scratch() = default;

Regex::Regex(std::shared_ptr<const Engine> engine) : engine_(std::move(engine)) {}

Regex::Regex(std::string_view pattern, Library library) : Regex(engine_for(pattern, library)) {}

Regex Regex::literal(std::string_view text) {
  return Regex(std::make_shared<const LiteralEngine>(text));
}

std::optional<Regex::Match> Regex::find(std::string_view text, size_t from, Scratch& scratch) const {
  const auto match = engine_->find(text, from, scratch);
  if (match && match->begin < from) throw Error("a pattern of the tokenizer matches text before the last match");
  return match;
}

size_t Regex::character_at(std::string_view text, size_t at) {
  return at < text.size() ? utf8_length(text.substr(at)) : 1;
}

std::string shown_pattern(std::string_view pattern) {
  return printable(cut(pattern, 120));
}

}  // namespace mformer
