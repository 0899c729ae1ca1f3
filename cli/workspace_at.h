#pragma once

#include <filesystem>
#include <optional>

#include "core/workspace/registry_session.h"

namespace mformer::cli {

/// Another workspace, to which models are brought. It is opened when it is first asked for, and made when it is first
/// written to, if its folder is missing or empty.
class WorkspaceAt {
 public:
  /// `from`: the identity of the workspace that the models come from, "" if unknown; for the log there.
  explicit WorkspaceAt(std::filesystem::path folder, std::string from = "");

  /// Null while there is none. Throws Error where one could not be made either.
  const Registry* to_read();
  RegistrySession& to_write();

 private:
  void open(OpenMode mode);

  std::filesystem::path folder_;
  std::string from_;
  std::optional<Registry> registry_;
  std::optional<RegistrySession> session_;
};

/// Throws UsageError if `folder` is the workspace itself.
void require_another(const Registry& registry, const std::filesystem::path& folder);

}  // namespace mformer::cli
