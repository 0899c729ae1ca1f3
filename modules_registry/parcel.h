#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "modules_registry/records.h"

namespace mformer {

// A model on its way from one workspace to another: what Registry::adopt() takes. Of ids only those count that hold
// everywhere: hashes of versions and objects, uids of operations and modules. The bytes of objects travel beside it.

struct ParcelModule {
  ModuleRecord module;        ///< born_operation does not count
  std::string operation_uid;  ///< that it was born by
};

struct ParcelVersion {
  VersionRecord version;  ///< operation_id and content_hash do not count
  std::string operation_uid;
  Manifest manifest;
};

struct ParcelStats {
  std::string version;
  std::string task_content;  ///< content hash of the task's data
  std::vector<RoutingStat> rows;
  Measured on;                ///< operation_id does not count
  std::string operation_uid;  ///< that measured; "" if none
};

struct ParcelScore {
  Score score;                ///< `task` is a content hash; operation_id does not count
  std::string operation_uid;  ///< as above
};

struct Parcel {
  std::string model;    ///< its name where it comes from
  std::string current;  ///< hash of the version that it points to there
  /// `origin` is the identity of the workspace in which it was done; ids do not count.
  std::vector<OperationRecord> operations;
  std::vector<ParcelModule> modules;
  std::vector<ParcelVersion> versions;  ///< parents first
  std::vector<ParcelScore> scores;
  std::vector<ParcelStats> stats;
  std::map<std::string, std::int64_t> sizes;  ///< bytes of each object, as the other end says
};

/// What became of a parcel.
struct Adopted {
  VersionRecord current;          ///< where the model stands now; nothing where only measurements came
  std::int64_t measurements = 0;  ///< scores and looks at the routing that were missing here
};

}  // namespace mformer
