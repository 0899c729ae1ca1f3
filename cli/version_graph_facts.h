#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
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

/// What a graph was made of; its rows refer to it.
class GraphRecords;

/// A version with all that `log --graph` says of it.
struct GraphRow {
  const VersionRecord& version;
  const OperationRecord& operation;           ///< that made it
  std::vector<const VersionRecord*> parents;  ///< the one that it was made from, then of a merge the second branch
  std::string merged;                         ///< a merge's second branch, as MergeSource::name; "" of any other
  std::vector<std::string> models, tags;      ///< that stand here
  std::vector<StoodHere> stood;               ///< models that stood here, and now neither here nor at a descendant
  terminal::GraphNode node;                   ///< Mark::left where no name stands here or at a descendant
};

struct VersionGraph {
  std::shared_ptr<const GraphRecords> records;
  std::vector<GraphRow> rows;  ///< newest first; every version comes before its parents
  std::size_t older = 0;       ///< versions that the limit left out
  std::string current_model;
  std::string looked_at;  ///< hash of the version that commands read which name none; "" where that is the model's
};

/// What a graph is drawn of.
struct GraphOf {
  std::string version;  ///< the history of the version with this hash; "" = all versions of the workspace
  std::string model;    ///< and with it that of all versions of this model; "" = of none
};

/// The newest `limit` versions (0 = all). Of those that the limit leaves out it does not read the operations, but for
/// merges.
VersionGraph version_graph(const Registry& registry, const GraphOf& of, int limit);

}  // namespace mformer::cli
