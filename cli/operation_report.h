#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <unordered_map>
#include <vector>

#include "cli/terminal/report.h"
#include "modules_registry/registry.h"

namespace mformer::cli {

/// Versions by their hash, kept once they were asked for.
class VersionsByHash {
 public:
  /// With `all` every version is read at once: one by one, 10,000 take half a second. `registry` must outlive it.
  VersionsByHash(const Registry& registry, bool all);
  const VersionRecord& at(const std::string& hash);
  /// As version_json() and version_name() of a hash.
  nlohmann::ordered_json json(const std::string& hash);
  std::string name(const std::string& hash);
  /// Tags of the version, oldest first.
  const std::vector<std::string>& tags(const std::string& hash) const;

 private:
  const Registry& registry_;
  std::unordered_map<std::string, std::vector<std::string>> tags_;
  std::unordered_map<std::string, VersionRecord> known_;
};

/// The words behind the program's name, as a shell reads them; "" where they were not kept.
std::string typed_text(const TypedCommand& typed);

/// As it was typed, or what an older program kept: the command, and its tasks by their names.
std::string command_text(const OperationRecord& operation);

/// A script for bash (shell_word.h quotes for it) that does these operations, given newest first, again: those that
/// were done, in a folder that it is given for the workspace's (`workspace`, absolute), and elsewhere where they were
/// typed elsewhere. It never takes the old workspace by itself: of a copy's log that would be another one.
std::string script_of(const std::vector<OperationRecord>& operations, const std::filesystem::path& workspace);

nlohmann::ordered_json operation_json(const OperationRecord& operation, VersionsByHash& versions);

/// Everything of one operation: how it was typed, versions, data, and the curve of its training.
void report_operation(terminal::Report& report, const Registry& registry, const OperationRecord& operation,
                      VersionsByHash& versions);

}  // namespace mformer::cli
