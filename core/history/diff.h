#pragma once

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "modules_registry/registry.h"

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

/// What became of one domain's private parts, where anything did.
struct PrivateChange {
  std::string domain;
  std::int64_t added = 0, removed = 0, changed = 0;
  std::int64_t bytes = 0;  ///< On disk, of those added and changed; 0 unless diff_versions() was given the registry.
};

/// What tells two versions apart, found by comparing hashes.
struct VersionDiff {
  std::vector<ConfigChange> config;
  bool tokenizer = false;
  std::vector<std::string> trunk;        ///< Names of parts that differ or that one version lacks.
  std::int64_t same_trunk = 0;           ///< Parts of the trunk that are the same object in both.
  std::vector<PrivateChange> domains;    ///< By name.
  std::vector<std::string> routers;      ///< "h.0.att": routers that differ, new or fewer rows included.
  std::vector<std::string> old_routers;  ///< Of these, those that differ in what both versions have.
  std::vector<ModuleChange> modules;
  std::int64_t same_modules = 0;  ///< Modules that are in both, with the same weights.

  bool same() const;
  /// Whether all that `before` was made of is in `after`, the same objects, and of routers the same bits: modules,
  /// trunk, private parts and tokenizer.
  bool nothing_old_changed() const;
};

/// Counts over VersionDiff::modules.
struct ModuleCounts {
  std::int64_t added = 0, removed = 0, retrained = 0, frozen = 0, unfrozen = 0;
};
ModuleCounts count_changes(const VersionDiff& diff);

/// Hashes of the objects that `after` is made of and `before` is not, each once.
std::vector<std::string> new_objects(const Manifest& before, const Manifest& after);

/// Modules are matched by identity, so one that only moved to another index counts as the same. Throws Error if a
/// config is no JSON.
/// Reads no object: every router that differs counts among `old_routers`.
VersionDiff diff_versions(const Manifest& before, const Manifest& after);

/// The same with objects at hand: bytes of private parts, and a router whose object only has rows for other modules
/// more or less is none of `old_routers`. One that can't be read counts as changed, and so do those of these layers and
/// kinds, which are not read.
VersionDiff diff_versions(const Registry& registry, const Manifest& before, const Manifest& after,
                          const std::set<std::pair<int, Kind>>& changed_routers = {});

}  // namespace mformer
