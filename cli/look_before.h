#pragma once

#include <CLI/CLI.hpp>

namespace mformer::cli {

/// Finds what is wrong with a command that computes as far as the registry alone can tell, before LibTorch is loaded:
/// no workspace, unknown models, versions and tasks, no task where one is needed, selectors that can't be read. Throws
/// what the command itself would throw. Which of its options name what is known from completion (named_by()).
void look_before(const CLI::App& command);

}  // namespace mformer::cli
