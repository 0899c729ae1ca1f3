#pragma once

#include <optional>
#include <string>
#include <vector>

#include "modules_registry/registry.h"

namespace mformer {

/// The version and its parents, their parents, and so on: newest first, itself included. A merged version's second
/// branch is not a parent: what came from there is among the merge's own tasks, see tasks_trained_by().
std::vector<VersionRecord> ancestry(const Registry& registry, const VersionRecord& version);

/// The newest version of `a`'s registry that both come from; one of the two itself, if it is the other's ancestor.
/// Nothing if they have none in common. The registries may be one, or copies of one that went their own ways.
std::optional<VersionRecord> common_ancestor(const Registry& of_a, const VersionRecord& a, const Registry& of_b,
                                             const VersionRecord& b);

/// The second branch of a merge as its arguments say it ("b", "b_hash", "from").
struct MergeSource {
  std::string name;  ///< "french@1", of one that lies elsewhere with the folder: "french@1 of DIR"
  std::string hash;  ///< "" where it lies in another workspace
};
/// Nothing for an operation that is no merge. Asks the registry nothing.
std::optional<MergeSource> merge_source(const OperationRecord& operation);

/// The second branch of a merged version.
struct MergedBranch {
  std::string name;                      ///< As MergeSource::name.
  std::optional<VersionRecord> version;  ///< Absent where it lies in another workspace.
};
/// Nothing for any other version.
std::optional<MergedBranch> merged_branch(const Registry& registry, const VersionRecord& version);

/// Tasks that the operation which made this version trained on, or (a merge) whose training it took over: in the order
/// in which it read them.
std::vector<std::string> tasks_trained_by(const Registry& registry, const VersionRecord& version);

/// Tasks that the version or an ancestor was trained on, each once, in the order of their training.
std::vector<std::string> tasks_trained_until(const Registry& registry, const VersionRecord& version);

}  // namespace mformer
