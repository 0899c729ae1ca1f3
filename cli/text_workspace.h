#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "cli/global_options.h"
#include "cli/registry_workspace.h"
#include "cli/terminal/stages.h"
#include "cli/token_scratch.h"

namespace mformer::cli {

/// A RegistryWorkspace whose session reads text: its watcher draws progress on stderr and stops at Ctrl-C, and tokens
/// of a dry run lie in a temporary folder. Knows no tensors, as Workspace (workspace.h) does.
class TextWorkspace : public RegistryWorkspace {
 public:
  TextWorkspace(const GlobalOptions& global, const std::string& command, OpenMode mode,
                const nlohmann::ordered_json& arguments = nlohmann::ordered_json::object());

  /// Long work in core: returns what `work` returns, with the progress ended so that results come on a clean line.
  template <typename Work>
  auto run(const Work& work) {
    auto result = work();
    finish_progress();
    return result;
  }
  /// Ends the progress that is shown.
  void finish_progress() { stages_.end(); }

 private:
  terminal::Stages stages_;
  std::optional<TokenScratch> token_scratch_;  ///< Made when tokens are first asked for.
};

}  // namespace mformer::cli
