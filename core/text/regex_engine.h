#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "core/text/regex.h"

namespace mformer {

/// Memory that an engine keeps for one thread.
struct EngineScratch {
  EngineScratch() = default;
  EngineScratch(const EngineScratch&) = delete;
  EngineScratch& operator=(const EngineScratch&) = delete;
  virtual ~EngineScratch() = default;
};

struct Regex::Scratch::State {
  std::unique_ptr<EngineScratch> pcre2, oniguruma;
};

/// Finds matches of one pattern; Regex::find is its contract.
class Regex::Engine {
 public:
  Engine() = default;
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  virtual ~Engine() = default;
  virtual std::optional<Match> find(std::string_view text, size_t from, Scratch& scratch) const = 0;
};

/// `pattern` in PCRE2's dialect. Throws Error.
std::shared_ptr<const Regex::Engine> make_pcre2_engine(std::string_view pattern);

/// `pattern` in Oniguruma's dialect. Throws Error.
std::shared_ptr<const Regex::Engine> make_oniguruma_engine(std::string_view pattern);

}  // namespace mformer
