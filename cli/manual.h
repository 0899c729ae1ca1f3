#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace mformer::cli {

struct ManualPage {
  std::string file;  ///< "mformer-extend.1"
  std::string text;  ///< for man: roff with the macros of man(7)
};

/// Begins every page that we write, so that one that somebody else wrote is known and left alone.
extern const char* const manual_mark;

/// The pages of section 1: `mformer`, and one for each command and nested command. They say what --help says, and come
/// from the same place.
std::vector<ManualPage> manual_pages(const CLI::App& root, const std::string& version);

}  // namespace mformer::cli
