#include "cli/serving/live_report.h"

#include <sys/stat.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "cli/report/facts.h"
#include "cli/report/page.h"
#include "cli/serving/api_error.h"
#include "modules_registry/error.h"
#include "modules_registry/registry.h"

namespace mformer::cli {
namespace {

/// Another text whenever something was written to the registry: its files are appended to or replaced.
std::string state_of_files(const std::filesystem::path& workspace) {
  std::string state;
  for (const char* name : {"registry.db", "registry.db-wal"}) {
    struct stat file {};
    if (::stat((workspace / ".mformer" / name).c_str(), &file) != 0) continue;
    state += name;
    for (const long long part :
         {static_cast<long long>(file.st_ino), static_cast<long long>(file.st_size),
          static_cast<long long>(file.st_mtim.tv_sec), static_cast<long long>(file.st_mtim.tv_nsec)}) {
      state += ' ' + std::to_string(part);
    }
    state += '\n';
  }
  return state;
}

/// The version, or where it is there no more the current one.
VersionRecord shown_version(const Registry& registry, const std::string& hash) {
  try {
    return registry.resolve(hash);
  } catch (const UsageError&) {
    return registry.resolve("");
  }
}

}  // namespace

LiveReport::LiveReport(std::filesystem::path workspace, std::string version)
    : workspace_(std::move(workspace)), version_(std::move(version)) {}

std::shared_ptr<const std::string> LiveReport::page() {
  const std::lock_guard lock(mutex_);
  std::string state = state_of_files(workspace_);
  if (page_ && !state.empty() && state == state_) return page_;
  try {
    const Registry registry = Registry::open(workspace_, OpenMode::read_only);
    page_ =
        std::make_shared<const std::string>(report_page(report_facts(registry, shown_version(registry, version_), {})));
  } catch (const Error& error) {
    page_.reset();
    throw ApiError(503, std::string("the workspace can't be read now: ") + error.what() + "; completions go on",
                   "workspace_unreadable");
  }
  state_ = std::move(state);  // as it was before: what came meanwhile is seen the next time
  return page_;
}

}  // namespace mformer::cli
