#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace mformer::cli {

/// --fields, of commands that take --data.
void add_fields_flag(CLI::App& command, std::string& fields);

}  // namespace mformer::cli
