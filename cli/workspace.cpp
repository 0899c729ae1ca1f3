#include "cli/workspace.h"

#include <ATen/Parallel.h>

#include <cmath>

#include "cli/interrupt.h"
#include "cli/process_run.h"
#include "core/device/device.h"
#include "core/training/recycled_memory.h"
#include "core/training/retain_memory.h"
#include "modules_registry/error.h"

namespace mformer::cli {
Workspace::Workspace(const GlobalOptions& global, const std::string& command, OpenMode mode,
                     const nlohmann::ordered_json& arguments)
    : TextWorkspace(joined(global), command, mode, arguments), global_(joined(global)) {
  apply_device_options(global_);
  session_ = std::make_unique<Session>(Session{TextWorkspace::session()});
  session_->typed.threads = session_->threads = at::get_num_threads();
}

Workspace::~Workspace() = default;

Session& Workspace::streaming_session() {
  recycle_tensor_memory();
  return *session_;
}

Session& Workspace::computing_session() {
  retain_freed_memory();
  session_->device = open_device(global_.device);
  session_->group = processes();
  if (session_->device.is_cpu()) return *session_;
  auto arguments = nlohmann::ordered_json::parse(session_->arguments_json);
  arguments["device"] = c10::DeviceTypeName(session_->device.type(), /*lower_case=*/true);
  session_->arguments_json = arguments_text(arguments);
  return *session_;
}

LoadedVersion Workspace::load() const {
  return load_over(nullptr);
}

LoadedVersion Workspace::load_spread() const {
  ProcessGroup* group = processes();
  if (group == nullptr) {
    throw UsageError("--expert-parallel spreads a model over several processes, and this is one",
                     "mpirun -np 4 mformer eval --expert-parallel");
  }
  if (!open_device(global_.device).is_cpu()) {
    throw UsageError("--expert-parallel is for the CPU", "leave --device out");
  }
  return load_over(group);
}

LoadedVersion Workspace::load_over(ProcessGroup* spread_over) const {
  LoadedVersion loaded = load_version(registry(), version(), spread_over);
  loaded.target = target();
  if (ProcessGroup* group = processes()) {
    const std::string hint = "every process reads the workspace itself: give all of them the same one, or copies";
    require_same(*group, "the version", loaded.record.hash, hint);
    auto asked = nlohmann::ordered_json::parse(session_->arguments_json);
    asked.erase("data");  // a place of its own on every machine, perhaps; its content is compared
    require_same(*group, "what was asked for", arguments_text(asked) + std::to_string(session_->seed), hint);
  }
  return loaded;
}

void Workspace::throw_interrupted(const std::string& what, const std::string& hint) {
  throw Interrupted(what, hint.empty() ? "the same command again repeats the work" : hint);
}

void apply_device_options(const GlobalOptions& global) {
  if (global.threads > 0) at::set_num_threads(global.threads);
}

}  // namespace mformer::cli
