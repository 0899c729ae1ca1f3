#define PCRE2_CODE_UNIT_WIDTH 8
#include "core/text/regex.h"

#include <pcre2.h>

#include <array>
#include <cstdint>
#include <new>
#include <string>

#include "core/text/regex_dialect.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

constexpr size_t kFirstStackBytes = 64UL << 10U;
constexpr size_t kMostStackBytes = 64UL << 20U;

std::string message_of(int code) {
  std::array<unsigned char, 256> buffer{};
  pcre2_get_error_message(code, buffer.data(), buffer.size());
  return reinterpret_cast<const char*>(buffer.data());
}

PCRE2_SPTR units(std::string_view text) {
  return reinterpret_cast<PCRE2_SPTR>(text.data());
}

}  // namespace

struct Regex::Scratch::State {
  pcre2_match_data* match = pcre2_match_data_create(1, nullptr);
  pcre2_match_context* context = pcre2_match_context_create(nullptr);
  pcre2_jit_stack* stack = pcre2_jit_stack_create(kFirstStackBytes, kMostStackBytes, nullptr);

  State() {
    if (match == nullptr || context == nullptr) throw std::bad_alloc();
    if (stack != nullptr) pcre2_jit_stack_assign(context, nullptr, stack);
  }
  ~State() {
    pcre2_match_data_free(match);
    pcre2_match_context_free(context);
    pcre2_jit_stack_free(stack);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
};

Regex::Scratch::Scratch() : state_(std::make_unique<State>()) {}
Regex::Scratch::~Scratch() = default;

struct Regex::Code {
  pcre2_code* code = nullptr;

  Code(const std::string& pcre2_pattern, std::string_view shown) {
    int error = 0;
    size_t offset = 0;
    // The package's dialect is Ruby's, where ^ and $ always mean lines.
    constexpr uint32_t kOptions = PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE;
    code = pcre2_compile(units(pcre2_pattern), pcre2_pattern.size(), kOptions, &error, &offset, nullptr);
    if (code == nullptr) {
      throw Error("the pattern '" + std::string(shown) + "' is not a regular expression: " + message_of(error));
    }
    uint32_t matches_empty = 0;
    pcre2_pattern_info(code, PCRE2_INFO_MATCHEMPTY, &matches_empty);
    if (matches_empty != 0) {
      pcre2_code_free(code);
      throw Error("the pattern '" + std::string(shown) + "' matches the empty text, which is not supported");
    }
    // Where code can't be generated at run time (hardened systems), pcre2_match interprets: slower, the same matches.
    pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
  }
  ~Code() { pcre2_code_free(code); }
  Code(const Code&) = delete;
  Code& operator=(const Code&) = delete;
};

Regex::Regex(std::shared_ptr<const Code> code) : code_(std::move(code)) {}

Regex::Regex(std::string_view pattern) : Regex(std::make_shared<const Code>(to_pcre2(pattern), pattern)) {}

Regex Regex::literal(std::string_view text) {
  std::string escaped;
  for (const char unit : text) {
    const bool special = std::string_view(R"(\^$.[]|()?*+{}-#)").find(unit) != std::string_view::npos;
    if (special) escaped += '\\';
    escaped += unit;
  }
  return Regex(std::make_shared<const Code>(escaped, text));
}

Regex Regex::word_character() {
  return Regex(std::make_shared<const Code>(word_character_pattern(), "word"));
}

std::optional<Regex::Match> Regex::find(std::string_view text, size_t from, Scratch& scratch) const {
  auto& state = *scratch.state_;
  const int count =
      pcre2_match(code_->code, units(text), text.size(), from, PCRE2_NO_UTF_CHECK, state.match, state.context);
  if (count == PCRE2_ERROR_NOMATCH) return std::nullopt;
  if (count < 0) throw Error("a pattern of the tokenizer failed on this text: " + message_of(count));
  const size_t* range = pcre2_get_ovector_pointer(state.match);
  return Match{range[0], range[1]};
}

}  // namespace mformer
