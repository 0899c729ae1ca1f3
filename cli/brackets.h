#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace mformer::cli {

/// CLI11 takes a value `[a,b]` of an option that may be given several times for a list: `--stop '[/INST]'` would lose
/// its brackets. So a mark, which no argument can hold, is put behind such arguments while it parses, and taken off
/// again before anybody sees the value.
///
/// The arguments in the order that CLI::App::parse() wants, marked.
std::vector<std::string> mark_brackets(int argc, const char* const* argv);

/// Makes every option of `app` and of its commands take the mark off. Call once, when all of them are there.
void keep_brackets(CLI::App& app);

/// A message about arguments, which may quote one.
std::string without_marks(std::string message);

}  // namespace mformer::cli
