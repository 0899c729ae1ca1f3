#include "cli/workspace_at.h"

#include <nlohmann/json.hpp>

#include "cli/interrupt.h"
#include "modules_registry/error.h"

namespace mformer::cli {
namespace {

namespace fs = std::filesystem;

fs::path registry_of(const fs::path& folder) {
  return folder.filename() == ".mformer" ? folder : folder / ".mformer";
}

bool is_there(const fs::path& folder) {
  std::error_code error;
  return fs::exists(registry_of(folder), error);
}

}  // namespace

WorkspaceAt::WorkspaceAt(fs::path folder, std::string from) : folder_(std::move(folder)), from_(std::move(from)) {
  std::error_code error;
  if (is_there(folder_) || !fs::exists(folder_, error)) return;
  if (fs::is_directory(folder_, error) && fs::is_empty(folder_, error)) return;
  throw Error("there is no workspace in '" + folder_.string() + "', and it is no empty folder",
              "name the folder of a workspace, or one that is empty or still to be made; a single file is made by "
              "mformer bundle");
}

void WorkspaceAt::open(OpenMode mode) {
  registry_.emplace(Registry::open(folder_, mode));
  registry_->stop_when([] { return interrupted(); });
}

const Registry* WorkspaceAt::to_read() {
  if (!registry_ && is_there(folder_)) open(OpenMode::read_only);
  return registry_ ? &*registry_ : nullptr;
}

RegistrySession& WorkspaceAt::to_write() {
  if (session_) return *session_;
  registry_.reset();
  if (is_there(folder_)) {
    open(OpenMode::read_write);
  } else {
    registry_.emplace(Registry::create(folder_));
  }
  session_.emplace(
      RegistrySession{*registry_, "receive", nlohmann::json{{"from", from_}}.dump(), 0, MFORMER_VERSION, {}, {}});
  return *session_;
}

void require_another(const Registry& registry, const fs::path& folder) {
  std::error_code error;
  if (!fs::equivalent(registry.folder(), registry_of(folder), error)) return;
  throw UsageError("'" + folder.string() + "' is this workspace itself",
                   "name another one; mformer branch NAME makes a second model here");
}

}  // namespace mformer::cli
