#include "cli/registry_workspace.h"

#include <algorithm>
#include <cstdlib>
#include <system_error>
#include <vector>

#include "cli/hand_over.h"
#include "cli/interrupt.h"
#include "modules_registry/error.h"

namespace mformer::cli {

namespace fs = std::filesystem;

fs::path workspace_folder(const GlobalOptions& global) {
  if (!global.workspace.empty()) return global.workspace;
  const auto found = Registry::find(fs::current_path());
  if (!found.has_value()) {
    throw Error("there is no workspace here or in a folder above (" + fs::current_path().string() + ")",
                "make one: mformer init --preset small --tokenizer tokenizer.json, or name one: --workspace DIR");
  }
  return *found;
}

namespace {

/// With --workspace where the environment named it: typed elsewhere, it must mean the same.
TypedCommand typed_command() {
  std::error_code gone;
  TypedCommand typed{"", fs::current_path(gone).string(), 0};
  std::vector<std::string> words = typed_words();
  const auto names_workspace = [](const std::string& word) { return word.starts_with("--workspace"); };
  const char* named = std::getenv("MFORMER_WORKSPACE");
  const bool by_environment = named != nullptr && *named != '\0';
  if (by_environment && !words.empty() && std::none_of(words.begin(), words.end(), names_workspace)) {
    words.insert(words.begin(), {"--workspace", named});
  }
  if (!words.empty()) typed.line = arguments_text(words);
  return typed;
}

}  // namespace

RegistryWorkspace::RegistryWorkspace(const GlobalOptions& global, const std::string& command, OpenMode mode,
                                     const nlohmann::ordered_json& arguments)
    : global_(global), registry_(Registry::open(workspace_folder(global), mode)), session_{registry_,
                                                                                           command,
                                                                                           arguments_text(arguments),
                                                                                           global.seed.value_or(0),
                                                                                           MFORMER_VERSION,
                                                                                           {},
                                                                                           typed_command()} {
  registry_.stop_when([] { return interrupted(); });
}

std::string RegistryWorkspace::target() const {
  if (global_.model.empty() && !registry_.looked_at().empty()) return "";
  std::string name = global_.model.empty() ? registry_.current_model() : global_.model;
  for (const ModelRecord& model : registry_.models()) {
    if (model.name == name) return name;
  }
  return version().model;
}

std::string arguments_text(const nlohmann::ordered_json& arguments) {
  return arguments.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

fs::path new_workspace_folder(const GlobalOptions& global) {
  return global.workspace.empty() ? fs::current_path() : fs::path(global.workspace);
}

}  // namespace mformer::cli
