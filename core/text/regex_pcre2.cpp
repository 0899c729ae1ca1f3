#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <array>
#include <cstdint>
#include <new>
#include <string>

#include "core/text/regex_engine.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

constexpr size_t kFirstStackBytes = 64UL << 10U;
constexpr size_t kMostStackBytes = 64UL << 20U;

std::string pcre2_message(int code) {
  std::array<unsigned char, 256> buffer{};
  pcre2_get_error_message(code, buffer.data(), buffer.size());
  return reinterpret_cast<const char*>(buffer.data());
}

PCRE2_SPTR pcre2_units(std::string_view text) {
  return reinterpret_cast<PCRE2_SPTR>(text.data());
}

struct Pcre2Scratch : EngineScratch {
  pcre2_match_data* match = pcre2_match_data_create(1, nullptr);
  pcre2_match_context* context = pcre2_match_context_create(nullptr);
  pcre2_jit_stack* stack = pcre2_jit_stack_create(kFirstStackBytes, kMostStackBytes, nullptr);

  Pcre2Scratch() {
    if (match == nullptr || context == nullptr) throw std::bad_alloc();
    if (stack != nullptr) pcre2_jit_stack_assign(context, nullptr, stack);
  }
  ~Pcre2Scratch() override {
    pcre2_match_data_free(match);
    pcre2_match_context_free(context);
    pcre2_jit_stack_free(stack);
  }
};

class Pcre2Engine : public Regex::Engine {
 public:
  explicit Pcre2Engine(std::string_view pattern) {
    int error = 0;
    size_t offset = 0;
    // The package's dialect is Ruby's, where ^ and $ always mean lines.
    constexpr uint32_t kOptions = PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE;
    code_ = pcre2_compile(pcre2_units(pattern), pattern.size(), kOptions, &error, &offset, nullptr);
    if (code_ == nullptr) {
      throw Error("the pattern '" + shown_pattern(pattern) + "' is not a regular expression: " + pcre2_message(error));
    }
    // Where code can't be generated at run time (hardened systems), pcre2_match interprets: slower, the same matches.
    pcre2_jit_compile(code_, PCRE2_JIT_COMPLETE);
  }
  ~Pcre2Engine() override { pcre2_code_free(code_); }

  std::optional<Regex::Match> find(std::string_view text, size_t from, Regex::Scratch& scratch) const override {
    auto& memory = scratch.state().pcre2;
    if (!memory) memory = std::make_unique<Pcre2Scratch>();
    const auto& own = static_cast<const Pcre2Scratch&>(*memory);
    const int count =
        pcre2_match(code_, pcre2_units(text), text.size(), from, PCRE2_NO_UTF_CHECK, own.match, own.context);
    if (count == PCRE2_ERROR_NOMATCH) return std::nullopt;
    if (count < 0) throw Error("a pattern of the tokenizer failed on this text: " + pcre2_message(count));
    const size_t* range = pcre2_get_ovector_pointer(own.match);
    return Regex::Match{range[0], range[1]};
  }

 private:
  pcre2_code* code_ = nullptr;
};

}  // namespace

std::shared_ptr<const Regex::Engine> make_pcre2_engine(std::string_view pattern) {
  return std::make_shared<const Pcre2Engine>(pattern);
}

}  // namespace mformer
