#pragma once

#include <CLI/CLI.hpp>

#include "cli/terminal/report.h"
#include "core/workflows/prune.h"

namespace mformer::cli {

/// --keep, --criterion, --scope and --stat-tokens, as text where the command line has text.
struct ChoiceFlags {
  ModuleChoice choice;
  std::string criterion = to_string(ModuleChoice().criterion);
  std::string scope = "layer";

  /// The choice that the flags mean. Throws UsageError for unknown names.
  ModuleChoice read() const;
};

/// Adds them to the command. Returns --keep, so that the caller says whether it is needed; the others need it.
CLI::Option* add_choice_flags(CLI::App& command, ChoiceFlags& flags);

/// --distill, --distill-temperature and --teacher, bound to `loss`.
void add_distill_flags(CLI::App& command, TuneLoss& loss);

/// --domain, the hypothesis of a version with domains that a command looks at or changes.
void add_domain_flag(CLI::App& command, std::string& domain);

}  // namespace mformer::cli
