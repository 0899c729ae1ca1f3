#include "core/history/lineage.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

namespace mformer {

std::vector<VersionRecord> ancestry(const Registry& registry, const VersionRecord& version) {
  std::vector<VersionRecord> line = {version};
  while (!line.back().parent.empty()) line.push_back(registry.version(line.back().parent));
  return line;
}

std::optional<VersionRecord> common_ancestor(const Registry& of_a, const VersionRecord& a, const Registry& of_b,
                                             const VersionRecord& b) {
  std::set<std::string> line_of_b;
  for (const VersionRecord& version : ancestry(of_b, b)) line_of_b.insert(version.hash);
  for (const VersionRecord& version : ancestry(of_a, a)) {
    if (line_of_b.count(version.hash) != 0) return version;
  }
  return std::nullopt;
}

std::optional<MergeSource> merge_source(const OperationRecord& operation) {
  if (operation.command != "merge") return std::nullopt;
  const auto arguments = nlohmann::json::parse(operation.arguments_json, nullptr, /*allow_exceptions=*/false);
  if (!arguments.is_object()) return std::nullopt;
  const auto text = [&arguments](const char* name) {
    const auto found = arguments.find(name);
    return found != arguments.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  if (arguments.contains("from")) return MergeSource{text("b") + " of " + text("from"), ""};
  return MergeSource{text("b"), text("b_hash")};
}

std::optional<MergedBranch> merged_branch(const Registry& registry, const VersionRecord& version) {
  const auto source = merge_source(registry.operation(version.operation_id));
  if (!source) return std::nullopt;
  MergedBranch branch{source->name, std::nullopt};
  if (!source->hash.empty()) branch.version = registry.version(source->hash);
  return branch;
}

std::vector<std::string> tasks_trained_by(const Registry& registry, const VersionRecord& version) {
  std::vector<std::string> tasks;
  for (const OperationData& data : registry.operation(version.operation_id).data) {
    if ((data.role != "train" && data.role != "merge") || data.task.empty()) continue;
    tasks.push_back(registry.task_name_now(data.task, version.operation_id));
  }
  return tasks;
}

std::vector<std::string> tasks_trained_until(const Registry& registry, const VersionRecord& version) {
  std::vector<VersionRecord> line = ancestry(registry, version);
  std::reverse(line.begin(), line.end());
  std::vector<std::string> tasks;
  for (const VersionRecord& step : line) {
    for (const std::string& task : tasks_trained_by(registry, step)) {
      if (std::find(tasks.begin(), tasks.end(), task) == tasks.end()) tasks.push_back(task);
    }
  }
  return tasks;
}

}  // namespace mformer
