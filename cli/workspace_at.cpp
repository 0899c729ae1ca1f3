#include "cli/workspace_at.h"

#include <nlohmann/json.hpp>

#include "cli/interrupt.h"
#include "modules_registry/error.h"

namespace mformer::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kMemory = ".mformer";

fs::path registry_of(const fs::path& folder) {
  return folder.filename() == kMemory ? folder : folder / kMemory;
}

/// A .mformer of folders alone is what a creation leaves that was killed at its very beginning: no workspace.
bool is_there(const fs::path& folder) {
  std::error_code error;
  for (fs::recursive_directory_iterator entry(registry_of(folder), error), end; !error && entry != end;
       entry.increment(error)) {
    if (!fs::is_directory(entry->symlink_status(error))) return true;
  }
  return false;
}

/// Whether there is anything but what is left of a workspace in the making.
bool has_other_things(const fs::path& folder) {
  std::error_code error;
  if (!fs::is_directory(folder, error)) return true;
  fs::directory_iterator entry(folder, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (name != kMemory && !name.starts_with(".tmp-init-")) return true;
  }
  return static_cast<bool>(error);
}

}  // namespace

WorkspaceAt::WorkspaceAt(fs::path folder, std::string from) : folder_(std::move(folder)), from_(std::move(from)) {
  std::error_code error;
  if (is_there(folder_) || !fs::exists(folder_, error) || !has_other_things(folder_)) return;
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
    const fs::path place = folder_.filename() == kMemory ? folder_.parent_path() : folder_;
    made_.emplace(place.empty() ? fs::path(".") : place, NewWorkspace::Objects::stay);
    registry_.emplace(Registry::open(made_->folder(), OpenMode::read_write));
    registry_->stop_when([] { return interrupted(); });
  }
  session_.emplace(
      RegistrySession{*registry_, "receive", nlohmann::json{{"from", from_}}.dump(), 0, MFORMER_VERSION, {}, {}});
  return *session_;
}

void WorkspaceAt::received() {
  if (!made_) return;
  session_.reset();
  registry_.reset();
  made_->put_in_place();
  made_.reset();
}

Served WorkspaceAt::served(bool writes) {
  return {[this, writes] { return writes && is_there(folder_) ? &to_write().registry : to_read(); },
          [this]() -> RegistrySession& { return to_write(); }, [this] { received(); }};
}

void require_another(const Registry& registry, const fs::path& folder) {
  std::error_code error;
  if (!fs::equivalent(registry.folder(), registry_of(folder), error)) return;
  throw UsageError("'" + folder.string() + "' is this workspace itself",
                   "name another one; mformer branch NAME makes a second model here");
}

}  // namespace mformer::cli
