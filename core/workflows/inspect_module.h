#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/workspace/session.h"

namespace mformer {

struct InspectModuleCommand {
  std::string uid;                   ///< Of a module of the version.
  std::vector<std::string> tasks;    ///< Known tasks; empty = all that can be read.
  std::int64_t max_tokens = 16'384;  ///< Held-out tokens per task, evenly spread; 0 = all.
  std::size_t most = 10;             ///< Tokens and contexts named per task.
};

/// What one kind of token gave a module to do.
struct TokenUse {
  std::string text;        ///< Its bytes.
  std::int64_t slots = 0;  ///< Times that it took the module,
  std::int64_t seen = 0;   ///< of so many times that it came.
  double gate = 0;         ///< Mean gate of these.
};

/// A place where a module counted much.
struct ContextUse {
  std::string before, token, after;  ///< Valid UTF-8 but for a token that is a part of a character.
  double gate = 0;
};

struct ModuleUse {
  std::string task;
  std::int64_t tokens = 0;  ///< Read.
  std::int64_t slots = 0;   ///< In which the module was taken.
  double gate_mass = 0;     ///< Sum of its gates.
  double loss = 0;          ///< Nats per token, as the version is: of a model with domains the posterior's mixture;
  std::optional<double> loss_without;  ///< and with this module alone masked; absent where the bank needs it.
  std::vector<TokenUse> by_token;      ///< The most slots first.
  std::vector<ContextUse> contexts;    ///< The largest gates first, of different windows.
};

struct ModuleInspection {
  std::string hypothesis;  ///< In which the use was looked at: the module's domain, or "base".
  bool routed = true;      ///< False where every token takes every module of the bank: then no token is named.
  std::vector<ModuleUse> tasks;
};

/// Which held-out tokens use a module, and what its absence costs. Use is of the hypothesis that owns the module, read
/// over the whole text, whatever the posterior would choose. Throws UsageError where the version has no such module.
ModuleInspection inspect_module(Session& session, const LoadedVersion& version, const InspectModuleCommand& command);

}  // namespace mformer
