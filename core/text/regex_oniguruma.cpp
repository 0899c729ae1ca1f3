#include <oniguruma.h>

#include <array>
#include <cstdint>
#include <ctime>
#include <new>
#include <string>

#include "core/text/oniguruma_encoding.h"
#include "core/text/regex_engine.h"
#include "modules_registry/error.h"
#include "modules_registry/printable.h"

namespace mformer {
namespace {

constexpr size_t kLongestPattern = 100'000;

// A pattern from a stranger may need time that grows with the square of the text, or worse. In one place of a text the
// library gives up after ten million steps back, which is also where the package does; a whole search may take ten
// times as many and a hundred for each byte; and all searches of a text together a generous time. Steps forward count
// for none of these limits, and a search can't be cut into stretches: the library ends matches where a stretch ends.
constexpr unsigned long kStepsOfPlace = 10'000'000;
constexpr unsigned long kStepsOfByte = 100;
constexpr unsigned kStackEntries = 4U << 20U;  // some 160 MB
constexpr double kSecondsOfText = 10;
constexpr double kSecondsOfByte = 1e-5;
constexpr size_t kUntimed = 256;  // bytes of a text that is not worth a look at the clock

const OnigUChar* onig_units(std::string_view text) {
  return reinterpret_cast<const OnigUChar*>(text.data());
}

std::string onig_message(int code, OnigErrorInfo* information) {
  std::array<OnigUChar, ONIG_MAX_ERROR_MESSAGE_LEN> buffer{};
  const int length = information != nullptr ? onig_error_code_to_str(buffer.data(), code, information)
                                            : onig_error_code_to_str(buffer.data(), code);
  return {reinterpret_cast<const char*>(buffer.data()), static_cast<size_t>(length)};
}

double seconds_of_thread() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

struct OnigurumaScratch : EngineScratch {
  OnigMatchParam* limits = onig_new_match_param();
  OnigRegion* region = onig_region_new();
  double started = 0;
  unsigned searches = 0;

  OnigurumaScratch() {
    if (limits == nullptr || region == nullptr) throw std::bad_alloc();
    onig_initialize_match_param(limits);
    onig_set_match_stack_limit_size_of_match_param(limits, kStackEntries);
    onig_set_retry_limit_in_match_of_match_param(limits, kStepsOfPlace);
  }
  ~OnigurumaScratch() override {
    onig_free_match_param(limits);
    onig_region_free(region, 1);
  }
};

[[noreturn]] void refuse_pattern(std::string_view pattern, const std::string& problem) {
  throw Error("the pattern '" + shown_pattern(pattern) + "' " + printable(problem),
              "docs/tokenizer.md says what patterns may do");
}

/// Throws for what the library's versions understand differently, or what asks for tables that we have no right form
/// of.
void refuse_what_differs(std::string_view pattern) {
  if (pattern.size() > kLongestPattern) refuse_pattern(pattern, "is longer than 100,000 bytes");
  for (size_t at = 0; at + 1 < pattern.size(); ++at) {
    const std::string_view two = pattern.substr(at, 2);
    if (two == "(*" || pattern.substr(at, 3) == "(?{") refuse_pattern(pattern, "has a callout, which is not supported");
    if (two.front() != '\\') continue;
    if (two == R"(\X)" || two == R"(\y)" || two == R"(\Y)") {
      refuse_pattern(pattern, "uses '" + std::string(two) + "', which is not supported");
    }
    ++at;
  }
}

class OnigurumaEngine : public Regex::Engine {
 public:
  explicit OnigurumaEngine(std::string_view pattern) : pattern_(shown_pattern(pattern)) {
    refuse_what_differs(pattern);
    OnigErrorInfo information{};
    const int code = onig_new(&regex_, onig_units(pattern), onig_units(pattern) + pattern.size(), ONIG_OPTION_NONE,
                              oniguruma_encoding(), ONIG_SYNTAX_ONIGURUMA, &information);
    if (code != ONIG_NORMAL) {
      refuse_pattern(pattern, "is not a regular expression that is supported: " + onig_message(code, &information));
    }
  }
  ~OnigurumaEngine() override { onig_free(regex_); }

  std::optional<Regex::Match> find(std::string_view text, size_t from, Regex::Scratch& scratch) const override {
    auto& memory = scratch.state().oniguruma;
    if (!memory) memory = std::make_unique<OnigurumaScratch>();
    auto& own = static_cast<OnigurumaScratch&>(*memory);
    constexpr unsigned kBetweenLooks = 64;
    const bool timed = text.size() > kUntimed;
    if (timed && from == 0) {
      own.started = seconds_of_thread();
    } else if (timed && ++own.searches % kBetweenLooks == 0) {
      check_time(text.size(), own);
    }
    onig_set_retry_limit_in_search_of_match_param(own.limits, 10 * kStepsOfPlace + kStepsOfByte * (text.size() - from));
    const OnigUChar* begin = onig_units(text);
    const OnigUChar* end = begin + text.size();
    const int at =
        onig_search_with_param(regex_, begin, end, begin + from, end, own.region, ONIG_OPTION_NONE, own.limits);
    if (at == ONIG_MISMATCH) return std::nullopt;
    if (at < 0) refuse_pattern(pattern_, "failed on this text: " + onig_message(at, nullptr));
    return Regex::Match{static_cast<size_t>(own.region->beg[0]), static_cast<size_t>(own.region->end[0])};
  }

 private:
  void check_time(size_t bytes, const OnigurumaScratch& own) const {
    const double limit = kSecondsOfText + kSecondsOfByte * static_cast<double>(bytes);
    if (seconds_of_thread() - own.started < limit) return;
    refuse_pattern(pattern_, "takes too long on this text of " + std::to_string(bytes) + " bytes");
  }

  std::string pattern_;
  regex_t* regex_ = nullptr;
};

}  // namespace

std::shared_ptr<const Regex::Engine> make_oniguruma_engine(std::string_view pattern) {
  return std::make_shared<const OnigurumaEngine>(pattern);
}

}  // namespace mformer
