#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "cli/terminal/graph.h"
#include "modules_registry/registry.h"

namespace mformer::cli {

/// A model that once stood at a version, until `operation` (`undo`, `move`) moved it elsewhere.
struct StoodHere {
  std::string model;
  std::int64_t operation = 0;
  std::string command;
};

/// A version with all that `log --graph` says of it.
struct GraphRow {
  VersionRecord version;
  OperationRecord operation;              ///< that made it
  std::vector<VersionRecord> parents;     ///< the one that it was made from, then of a merge the second branch
  std::string merged;                     ///< a merge's second branch, as MergeSource::name; "" of any other
  std::vector<std::string> models, tags;  ///< that stand here
  std::vector<StoodHere> stood;           ///< models that stood here, and now neither here nor at a descendant
  terminal::GraphNode node;               ///< Mark::left where no name stands here or at a descendant
};

struct VersionGraph {
  std::vector<GraphRow> rows;  ///< newest first; every version comes before its parents
  std::size_t older = 0;       ///< versions that the limit left out
  std::string current_model;
  std::string looked_at;  ///< hash of the version that commands read which name none; "" where that is the model's
};

/// The versions with these hashes and their ancestors, or with none all of the workspace; of these the newest `limit`
/// (0 = all). Reads every version and operation once.
VersionGraph version_graph(const Registry& registry, const std::vector<std::string>& tips, int limit);

}  // namespace mformer::cli
