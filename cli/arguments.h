#pragma once

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <string_view>

namespace mformer::cli {

/// Options that can't change what a command makes: they say when to report, to save or to begin anew, and what to
/// print. An interrupted run goes on whatever they say (docs/training.md). --eval-every has one where --keep-best or
/// --patience is given, which go by what it measures.
inline constexpr std::string_view options_without_effect[] = {"dry-run", "eval-every", "help",          "help-all",
                                                              "map",     "restart",    "snapshot-every"};

/// What a command was asked for, as Workspace's `arguments`: every option of it but those without effect, by its name
/// with '_' for '-', as it was given or by default, so that none can be forgotten. Numbers as numbers, flags as true or
/// false, paths (DIR, FILE) absolute; what is empty is left out. For use in the command's callback.
nlohmann::ordered_json arguments_of(CLI::App& command);

}  // namespace mformer::cli
