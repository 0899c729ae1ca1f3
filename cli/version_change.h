#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "core/history/diff.h"
#include "modules_registry/version_pairs.h"

namespace mformer::cli {

/// What an operation did to the version that it made another of.
struct VersionChange {
  bool first = false;  ///< made of none: all is new
  VersionDiff diff;    ///< that does not count what is the same, nor know indices of modules
  ModuleCounts counts;
  std::int64_t modules = 0;  ///< that the version has
  std::int64_t bytes = 0;    ///< of objects that the parent does not have
};

/// Finds changes of versions one after the other, quickly along a history.
class VersionChanges {
 public:
  /// `registry` must outlive it.
  explicit VersionChanges(const Registry& registry) : registry_(registry) {}
  VersionChange of(const VersionRecord& version);

 private:
  const Registry& registry_;
  VersionPairs pairs_{registry_};
};

/// "6 modules added; trunk: same; 32 private parts of domain german, 590 kB"; "24 modules, all new".
std::string change_text(const VersionChange& change);

/// Its figures as fields of a version's JSON object; `nothing_old_changed` is null where all is new.
void add_change(nlohmann::ordered_json& row, const VersionChange& change);

}  // namespace mformer::cli
