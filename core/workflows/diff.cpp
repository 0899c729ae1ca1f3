#include "core/workflows/diff.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "modules_registry/error.h"

namespace mformer {
namespace {

using nlohmann::json;

json parse_config(const std::string& text) {
  json config = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!config.is_object()) throw Error("a version's config is no JSON object", "mformer fsck says more");
  return config;
}

std::vector<ConfigChange> config_changes(const Manifest& before, const Manifest& after) {
  const json old_config = parse_config(before.config_json), new_config = parse_config(after.config_json);
  const auto field = [](const json& config, const std::string& name) {
    return config.contains(name) ? config[name].dump() : std::string();
  };
  std::set<std::string> names;
  for (const auto& [name, value] : old_config.items()) names.insert(name);
  for (const auto& [name, value] : new_config.items()) names.insert(name);
  std::vector<ConfigChange> changes;
  for (const std::string& name : names) {
    ConfigChange change{name, field(old_config, name), field(new_config, name)};
    if (change.before != change.after) changes.push_back(change);
  }
  return changes;
}

/// Names whose objects differ, in the order of their names.
std::vector<std::string> changed_names(const std::map<std::string, std::string>& before,
                                       const std::map<std::string, std::string>& after) {
  std::vector<std::string> changed;
  for (const auto& [name, object] : before) {
    const auto found = after.find(name);
    if (found == after.end() || found->second != object) changed.push_back(name);
  }
  for (const auto& [name, object] : after) {
    if (!before.contains(name)) changed.push_back(name);
  }
  std::sort(changed.begin(), changed.end());
  return changed;
}

std::map<std::string, std::string> trunk_objects(const Manifest& manifest) {
  std::map<std::string, std::string> objects;
  for (const TrunkPart& part : manifest.parts) objects[part.name] = part.object_hash;
  return objects;
}

std::map<std::string, std::string> router_objects(const Manifest& manifest) {
  std::map<std::string, std::string> objects;
  for (std::size_t layer = 0; layer < manifest.layers.size(); ++layer) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      objects["h." + std::to_string(layer) + '.' + std::string(to_string(kind))] = manifest.layers[layer].router(kind);
    }
  }
  return objects;
}

struct Place {
  int layer;
  Kind kind;
  std::int64_t index;
  ManifestModule module;
};

/// In the order of the version.
std::vector<Place> places_of(const Manifest& manifest) {
  std::vector<Place> places;
  for (std::size_t layer = 0; layer < manifest.layers.size(); ++layer) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      std::int64_t index = 0;
      for (const ManifestModule& module : manifest.layers[layer].modules(kind)) {
        places.push_back({static_cast<int>(layer), kind, index++, module});
      }
    }
  }
  return places;
}

void compare_modules(const Manifest& before, const Manifest& after, VersionDiff& diff) {
  std::map<std::string, Place> later;
  for (const Place& place : places_of(after)) later.emplace(place.module.uid, place);
  std::set<std::string> known;
  for (const Place& old : places_of(before)) {
    known.insert(old.module.uid);
    ModuleChange change{old.module.uid, old.layer, old.kind, old.index};
    if (const auto found = later.find(old.module.uid); found != later.end()) {
      const ManifestModule& now = found->second.module;
      change.index_after = found->second.index;
      change.weights = now.object_hash != old.module.object_hash;
      change.frozen = now.frozen != old.module.frozen;
      change.frozen_after = now.frozen;
      if (!change.weights) ++diff.same_modules;
    }
    if (change.removed() || change.weights || change.frozen) diff.modules.push_back(change);
  }
  for (const Place& place : places_of(after)) {
    if (known.contains(place.module.uid)) continue;
    diff.modules.push_back({place.module.uid, place.layer, place.kind, -1, place.index});
  }
}

}  // namespace

bool VersionDiff::same() const {
  return config.empty() && !tokenizer && trunk.empty() && routers.empty() && modules.empty();
}

ModuleCounts count_changes(const VersionDiff& diff) {
  ModuleCounts counts;
  for (const ModuleChange& change : diff.modules) {
    counts.added += change.added() ? 1 : 0;
    counts.removed += change.removed() ? 1 : 0;
    counts.retrained += change.weights ? 1 : 0;
    counts.frozen += change.frozen && change.frozen_after ? 1 : 0;
    counts.unfrozen += change.frozen && !change.frozen_after ? 1 : 0;
  }
  return counts;
}

VersionDiff diff_versions(const Manifest& before, const Manifest& after) {
  VersionDiff diff;
  diff.config = config_changes(before, after);
  diff.tokenizer = before.tokenizer_object != after.tokenizer_object;
  diff.trunk = changed_names(trunk_objects(before), trunk_objects(after));
  diff.routers = changed_names(router_objects(before), router_objects(after));
  compare_modules(before, after, diff);
  return diff;
}

}  // namespace mformer
