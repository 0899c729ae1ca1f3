#include "cli/text_workspace.h"

#include <algorithm>
#include <thread>

#include "cli/interrupt.h"

namespace mformer::cli {

TextWorkspace::TextWorkspace(const GlobalOptions& global, const std::string& command, OpenMode mode,
                             const nlohmann::ordered_json& arguments)
    : RegistryWorkspace(global, command, mode, arguments), stages_(terminal::progress_options(global.quiet)) {
  const int cores = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  session().typed.threads = session().threads = global.threads > 0 ? global.threads : cores;
  Watcher& watcher = session().watcher;
  watcher.progress = [this](const std::string& stage, std::int64_t done, std::int64_t total, double loss, double rate) {
    stages_.update(stage, done, total, loss, rate);
  };
  watcher.plan = [this](const std::vector<std::string>& coming) { stages_.plan(coming); };
  watcher.message = [this](const std::string& text) { stages_.message(text); };
  watcher.should_stop = [] { return interrupted(); };
  if (mode != OpenMode::read_only) return;
  session().token_folder = [this] {
    if (!token_scratch_) token_scratch_.emplace(registry().folder() / "cache");
    return token_scratch_->path();
  };
}

}  // namespace mformer::cli
