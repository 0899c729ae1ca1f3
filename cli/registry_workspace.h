#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/global_options.h"
#include "core/workspace/registry_session.h"

namespace mformer::cli {

/// What a command works with that needs no tensors: the registry that --workspace (or the working directory) leads to.
/// Commands that compute take Workspace (workspace.h); what includes only this file starts without LibTorch.
class RegistryWorkspace {
 public:
  /// `arguments`: every option that decides the result (arguments_of(), cli/arguments.h): kept in the operation, and
  /// the key under which an interrupted run is found again. Throws Error with a hint when there is no workspace.
  RegistryWorkspace(const GlobalOptions& global, const std::string& command, OpenMode mode,
                    const nlohmann::ordered_json& arguments = nlohmann::ordered_json::object());

  Registry& registry() { return registry_; }
  const Registry& registry() const { return registry_; }
  RegistrySession& session() { return session_; }
  /// The version that --model names, or the one that is looked at, or the current model's.
  VersionRecord version() const { return registry_.resolve(global_.model); }
  /// The model that a writing command moves: the one that --model names, the current one, or a version's own. ""
  /// where the workspace looks at a version and --model names none: nothing is moved then.
  std::string target() const;

 private:
  const GlobalOptions& global_;
  Registry registry_;
  RegistrySession session_;
};

/// How a command that writes opens its registry: a dry run changes nothing, not even an older schema.
inline OpenMode mode_of(bool dry_run) {
  return dry_run ? OpenMode::read_only : OpenMode::read_write;
}

/// The folder of the workspace that commands work in: --workspace, or the nearest from the working directory upwards.
/// Throws Error with a hint when there is none.
std::filesystem::path workspace_folder(const GlobalOptions& global);

/// Arguments as an operation keeps them. Paths need not be UTF-8: bytes that are none become U+FFFD.
std::string arguments_text(const nlohmann::ordered_json& arguments);

/// The folder whose .mformer a new workspace gets: --workspace, or the working directory.
std::filesystem::path new_workspace_folder(const GlobalOptions& global);

}  // namespace mformer::cli
