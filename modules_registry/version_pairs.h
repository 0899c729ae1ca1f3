#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "modules_registry/registry.h"

namespace mformer {

/// What two versions are made of, without what both have alike.
struct VersionPair {
  /// Where both have the same modules and the same router in a layer and kind, these are left out of both; where all
  /// parts are alike, the parts. Where the modules are the same in the same order, with routers of the same length,
  /// only those are there that have other weights or are frozen in one only: what is left has its layer, but no index.
  Manifest before, after;
  /// Routers of the same length for the same modules in the same order, but other objects: they differ in what both
  /// have.
  std::set<std::pair<int, Kind>> changed_routers;
  std::int64_t modules = 0;    ///< that the later version has, those that were left out too
  std::int64_t new_bytes = 0;  ///< of objects of the later version that the earlier one does not have, each once
};

/// Reads pairs of versions. Of neighbours, one after the other, what they share is read once: some hundredths of a
/// millisecond for each pair. Rows are taken as they are: Registry::manifest() checks a version against its hash.
class VersionPairs {
 public:
  /// `registry` must outlive it.
  explicit VersionPairs(const Registry& registry);
  ~VersionPairs();
  VersionPairs(const VersionPairs&) = delete;
  VersionPairs& operator=(const VersionPairs&) = delete;

  /// By hash; `before` "": nothing, whose config is "{}". Throws UsageError for an unknown version.
  VersionPair of(const std::string& before, const std::string& after);

 private:
  class Rows;
  std::unique_ptr<Rows> rows_;
};

}  // namespace mformer
