#include "cli/workspace.h"

#include <ATen/Parallel.h>

#include <cmath>
#include <filesystem>

#include "cli/interrupt.h"
#include "core/device/device.h"
#include "core/training/recycled_memory.h"
#include "core/training/retain_memory.h"
#include "modules_registry/error.h"

namespace mformer::cli {
Workspace::Workspace(const GlobalOptions& global, const std::string& command, OpenMode mode,
                     const nlohmann::ordered_json& arguments)
    : RegistryWorkspace(global, command, mode, arguments),
      global_(global),
      stages_(terminal::progress_options(global.quiet)) {
  apply_device_options(global);
  session_ = std::make_unique<Session>(Session{RegistryWorkspace::session()});
  session_->typed.threads = at::get_num_threads();
  session_->watcher.progress = [this](const std::string& stage, std::int64_t done, std::int64_t total, double loss,
                                      double rate) { stages_.update(stage, done, total, loss, rate); };
  session_->watcher.plan = [this](const std::vector<std::string>& coming) { stages_.plan(coming); };
  session_->watcher.message = [this](const std::string& text) { stages_.message(text); };
  session_->watcher.should_stop = [] { return interrupted(); };
  if (mode != OpenMode::read_only) return;
  session_->token_folder = [this] {
    if (!token_scratch_) token_scratch_.emplace(registry().folder() / "cache");
    return token_scratch_->path();
  };
}

Workspace::~Workspace() = default;

Session& Workspace::streaming_session() {
  recycle_tensor_memory();
  return *session_;
}

Session& Workspace::computing_session() {
  retain_freed_memory();
  session_->device = open_device(global_.device);
  if (session_->device.is_cpu()) return *session_;
  auto arguments = nlohmann::ordered_json::parse(session_->arguments_json);
  arguments["device"] = c10::DeviceTypeName(session_->device.type(), /*lower_case=*/true);
  session_->arguments_json = arguments_text(arguments);
  return *session_;
}

LoadedVersion Workspace::load() const {
  LoadedVersion loaded = load_version(registry(), version());
  loaded.target = target();
  return loaded;
}

void Workspace::throw_interrupted(const std::string& what, const std::string& hint) {
  throw Interrupted(what, hint.empty() ? "the same command again repeats the work" : hint);
}

void apply_device_options(const GlobalOptions& global) {
  if (global.threads > 0) at::set_num_threads(global.threads);
}

}  // namespace mformer::cli
