#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/global_options.h"
#include "cli/text_workspace.h"
#include "core/workspace/session.h"

namespace mformer::cli {

/// What a command works with: the registry that --workspace (or the working directory) leads to, and a core Session
/// whose watcher draws progress on stderr and stops at Ctrl-C.
///
///     Workspace workspace(global, "extend", OpenMode::read_write, {{"experts", options.experts}});
///     const LoadedVersion base = workspace.load();
///     const ExtendReport report = workspace.run([&] { return extend(workspace.session(), base, options); });
class Workspace : public TextWorkspace {
 public:
  /// As TextWorkspace, and sets LibTorch's threads from --threads.
  Workspace(const GlobalOptions& global, const std::string& command, OpenMode mode,
            const nlohmann::ordered_json& arguments = nlohmann::ordered_json::object());
  ~Workspace();

  Session& session() { return *session_; }
  /// The session for a command that passes on a checkpoint, which may be larger than the memory.
  Session& streaming_session();
  /// The session for a command that runs a model: --device is opened at the first call, and a device other than the CPU
  /// becomes one of the arguments, as results differ in rounding. Commands that run none leave --device alone.
  Session& computing_session();
  LoadedVersion load() const;
  /// The same, spread over the processes of the run (core/model/expert_parallel.h). Throws UsageError where this one is
  /// alone, the version has domains, or --device is not the CPU.
  LoadedVersion load_spread() const;

  /// As TextWorkspace::run. Where core stopped because of Ctrl-C, throws Interrupted.
  template <typename Work>
  auto run(const Work& work) {
    try {
      return TextWorkspace::run(work);
    } catch (const TrainingInterrupted& stop) {
      const std::string lost = stop.lost().empty() ? "" : stop.lost() + "; ";
      throw_interrupted(lost + "step " + std::to_string(stop.step()) + " is saved", stop.hint());
    } catch (const EvaluationInterrupted& stop) {
      throw_interrupted("no version was made", stop.hint());
    }
  }

 private:
  LoadedVersion load_over(ProcessGroup* spread_over) const;
  [[noreturn]] static void throw_interrupted(const std::string& what, const std::string& hint);

  const GlobalOptions& global_;
  std::unique_ptr<Session> session_;
};

/// Sets LibTorch's threads from --threads. Called by Workspace.
void apply_device_options(const GlobalOptions& global);

}  // namespace mformer::cli
