#include "core/workspace/run_folder.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <system_error>

#include "modules_registry/error.h"
#include "modules_registry/files.h"

namespace mformer {
namespace {

constexpr const char* kRunLock = "lock";

std::filesystem::path folder_of(const Session& session, const RunIdentity& identity) {
  const nlohmann::json all = {session.command, session.arguments_json, session.seed,   session.code_version,
                              identity.base,   identity.data,          identity.others};
  auto folder = session.registry.folder() / "runs" /
                sha256_hex(all.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace)).substr(0, 16);
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw_file_error("create", folder, error.value());
  return folder;
}

/// So that the log can find the run of an operation. What can't be written is only missing there.
void write_whose(const std::filesystem::path& folder, const Session& session) {
  const nlohmann::ordered_json whose = {{"command", session.command},
                                        {"arguments_json", session.arguments_json},
                                        {"seed", static_cast<std::int64_t>(session.seed)},  // as the registry keeps it
                                        {"code_version", session.code_version}};
  std::ofstream(folder / "session.json") << whose.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace) << '\n';
}

FileLock lock_of(const std::filesystem::path& folder) {
  try {
    return FileLock(folder / kRunLock);
  } catch (const Error&) {
    if (!FileLock::is_held(folder / kRunLock)) throw;
    throw Error("another command is at work on this very run, in '" + folder.string() + "'",
                "wait until it has ended; the same with another --seed is a run of its own");
  }
}

}  // namespace

std::string content_of(const TaskData& task) {
  return task.record.content_hash;
}

std::string content_of(const std::vector<TaskData>& tasks) {
  nlohmann::json content = nlohmann::json::array();
  for (const TaskData& task : tasks) content.push_back({task.record.name, task.record.content_hash});
  return content.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);  // names need not be UTF-8
}

std::string names_of(const std::vector<TrainedParameter>& parameters) {
  nlohmann::json names = nlohmann::json::array();
  for (const TrainedParameter& parameter : parameters)
    names.push_back({parameter.name, parameter.tensor.sizes().vec()});
  return sha256_hex(names.dump(-1, ' ', true));
}

RunFolder::RunFolder(const Session& session, const RunIdentity& identity, bool restart)
    : path_(folder_of(session, identity)), lock_(lock_of(path_)) {
  if (restart) {
    for (const auto& entry : std::filesystem::directory_iterator(path_)) {
      if (entry.path().filename() != kRunLock) std::filesystem::remove_all(entry.path());
    }
  }
  write_whose(path_, session);
}

void RunFolder::finish() const {
  std::error_code stays;  // it would only be in the way of disk space
  for (const auto& folder : {path_, path_ / "review"}) std::filesystem::remove(folder / "snapshot.safetensors", stays);
}

}  // namespace mformer
