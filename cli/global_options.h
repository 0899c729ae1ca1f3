#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>

namespace mformer::cli {

/// Options that every command understands, before or after its name.
struct GlobalOptions {
  std::string workspace;  ///< directory that holds .mformer; empty = search upwards from the working directory
  std::string model;      ///< name, name@N or a version-hash prefix; empty = the workspace's current model
  bool json = false;      ///< one JSON object on stdout instead of text
  std::optional<std::uint64_t> seed;  ///< nothing = the command's own default
  int threads = 0;                    ///< 0 = as many as the machine has cores
  std::string device = "cpu";         ///< "cpu", "cuda" or "cuda:N"; validated in form, not for existence
  bool quiet = false;                 ///< no progress on stderr
};

/// Adds the options to the root app, bound to `options`, which must outlive it, and lets every subcommand that is added
/// afterwards hand unknown options up to the root. MFORMER_WORKSPACE stands in for --workspace. Call before the
/// commands are set up.
void add_global_options(CLI::App& root, GlobalOptions& options);

}  // namespace mformer::cli
