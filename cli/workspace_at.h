#pragma once

#include <filesystem>
#include <optional>

#include "core/transfer/remote.h"
#include "core/workspace/registry_session.h"
#include "modules_registry/new_workspace.h"

namespace mformer::cli {

/// Another workspace, to which models are brought. It is opened when it is first asked for. If its folder is missing or
/// empty, it is made when it is first written to, but aside: it is nowhere to be seen before a model is in it, whole.
class WorkspaceAt {
 public:
  /// `from`: the identity of the workspace that the models come from, "" if unknown; for the log there.
  explicit WorkspaceAt(std::filesystem::path folder, std::string from = "");

  /// Null while there is none. Throws Error where one could not be made either.
  const Registry* to_read();
  RegistrySession& to_write();
  /// To be asked after each model that is there, whole: puts a workspace that was made aside in its place.
  void received();
  /// All this, for what uses it; with `writes` a workspace that is there is opened to be written from the beginning.
  Served served(bool writes);

 private:
  void open(OpenMode mode);

  std::filesystem::path folder_;
  std::string from_;
  std::optional<NewWorkspace> made_;
  std::optional<Registry> registry_;
  std::optional<RegistrySession> session_;
};

/// Throws UsageError if `folder` is the workspace itself.
void require_another(const Registry& registry, const std::filesystem::path& folder);

}  // namespace mformer::cli
