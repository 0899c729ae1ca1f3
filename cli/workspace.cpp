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
namespace {

namespace fs = std::filesystem;

}  // namespace

fs::path workspace_folder(const GlobalOptions& global) {
  if (!global.workspace.empty()) return global.workspace;
  const auto found = Registry::find(fs::current_path());
  if (!found.has_value()) {
    throw Error("there is no workspace here or in a folder above (" + fs::current_path().string() + ")",
                "make one: mformer init --preset small --tokenizer tokenizer.json, or name one: --workspace DIR");
  }
  return *found;
}

Workspace::Workspace(const GlobalOptions& global, const std::string& command, OpenMode mode,
                     const nlohmann::ordered_json& arguments)
    : global_(global),
      registry_(Registry::open(workspace_folder(global), mode)),
      stages_(terminal::progress_options(global.quiet)) {
  apply_device_options(global);
  registry_.stop_when([] { return interrupted(); });
  Watcher watcher;
  watcher.progress = [this](const std::string& stage, std::int64_t done, std::int64_t total, double loss, double rate) {
    stages_.update(stage, done, total, loss, rate);
  };
  watcher.message = [this](const std::string& text) { stages_.message(text); };
  watcher.should_stop = [] { return interrupted(); };
  session_ = std::make_unique<Session>(Session{registry_, command, arguments_text(arguments), global.seed.value_or(0),
                                               MFORMER_VERSION, std::move(watcher)});
  if (mode != OpenMode::read_only) return;
  session_->token_folder = [this] {
    if (!token_scratch_) token_scratch_.emplace(registry_.folder() / "cache");
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

std::string Workspace::target() const {
  std::string name = global_.model.empty() ? registry_.current_model() : global_.model;
  for (const ModelRecord& model : registry_.models()) {
    if (model.name == name) return name;
  }
  return version().model;
}

LoadedVersion Workspace::load() const {
  LoadedVersion loaded = load_version(registry_, version());
  loaded.target = target();
  return loaded;
}

void Workspace::throw_interrupted(const std::string& what, const std::string& hint) {
  throw Interrupted(what, hint.empty() ? "the same command again repeats the work" : hint);
}

std::string arguments_text(const nlohmann::ordered_json& arguments) {
  return arguments.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

fs::path new_workspace_folder(const GlobalOptions& global) {
  return global.workspace.empty() ? fs::current_path() : fs::path(global.workspace);
}

void apply_device_options(const GlobalOptions& global) {
  if (global.threads > 0) at::set_num_threads(global.threads);
}

}  // namespace mformer::cli
