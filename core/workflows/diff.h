#pragma once

#include <string>
#include <vector>

#include "modules_registry/records.h"

namespace mformer {

/// One module that two versions do not share as it is.
struct ModuleChange {
  std::string uid;
  int layer = 0;
  Kind kind = Kind::att;
  std::int64_t index_before = -1;  ///< In its bank; -1 where the version lacks the module.
  std::int64_t index_after = -1;
  bool weights = false;  ///< In both, with other weights.
  bool frozen = false;   ///< In both, frozen in one only: in the later one if `frozen_after`.
  bool frozen_after = false;

  bool added() const { return index_before < 0; }
  bool removed() const { return index_after < 0; }
};

/// A field of the config that differs, as JSON text; empty where the version lacks it.
struct ConfigChange {
  std::string field, before, after;
};

/// What tells two versions apart, found by comparing hashes: no weights are read.
struct VersionDiff {
  std::vector<ConfigChange> config;
  bool tokenizer = false;
  std::vector<std::string> trunk;    ///< Names of parts that differ or that one version lacks.
  std::vector<std::string> routers;  ///< "h.0.att": routers that differ, new or fewer rows included.
  std::vector<ModuleChange> modules;
  std::int64_t same_modules = 0;  ///< Modules that are in both, with the same weights.

  bool same() const;
};

/// Counts over VersionDiff::modules.
struct ModuleCounts {
  std::int64_t added = 0, removed = 0, retrained = 0, frozen = 0, unfrozen = 0;
};
ModuleCounts count_changes(const VersionDiff& diff);

/// Modules are matched by identity, so one that only moved to another index counts as the same. Throws Error if a
/// config is no JSON.
VersionDiff diff_versions(const Manifest& before, const Manifest& after);

}  // namespace mformer
