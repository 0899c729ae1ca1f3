#include "core/history/diff.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "core/formats/parameter_names.h"
#include "core/formats/safetensors.h"
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
  if (before.config_json == after.config_json) return {};
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

using Objects = std::map<std::string, std::string>;  // by name

/// Those of the trunk under "", of each domain's private parts under its name.
std::map<std::string, Objects> objects_by_owner(const Manifest& manifest) {
  std::map<std::string, Objects> objects;
  for (const TrunkPart& part : manifest.parts) objects[names::owner_of_part(part.name)][part.name] = part.object_hash;
  return objects;
}

/// Parts of the trunk and private parts. Sizes are asked of `store`, which may be null.
void compare_parts(const Manifest& before, const Manifest& after, const ObjectStore* store, VersionDiff& diff) {
  auto old = objects_by_owner(before), now = objects_by_owner(after);
  diff.trunk = changed_names(old[""], now[""]);
  for (const auto& [name, object] : old[""]) {
    const auto found = now[""].find(name);
    diff.same_trunk += found != now[""].end() && found->second == object ? 1 : 0;
  }
  std::set<std::string> owners;
  for (const auto* all : {&old, &now}) {
    for (const auto& [owner, objects] : *all) owners.insert(owner);
  }
  owners.erase("");
  for (const std::string& owner : owners) {
    PrivateChange change{owner};
    for (const std::string& name : changed_names(old[owner], now[owner])) {
      const auto part = now[owner].find(name);
      const bool gone = part == now[owner].end();
      (gone ? change.removed : old[owner].contains(name) ? change.changed : change.added) += 1;
      if (!gone && store != nullptr && store->contains(part->second)) change.bytes += store->size(part->second);
    }
    if (change.added + change.removed + change.changed > 0) diff.domains.push_back(change);
  }
}

/// The bytes of a router's object by what they are: a tensor's name, or a module's uid for its row.
std::map<std::string, std::string> router_pieces(const SafetensorsFile& file,
                                                 const std::vector<ManifestModule>& modules) {
  std::map<std::string, std::string> pieces;
  for (const TensorView& tensor : file.tensors()) {
    const std::vector<std::byte> content = tensor.content();
    const auto* bytes = reinterpret_cast<const char*>(content.data());
    if (tensor.name != "rows") {
      pieces[tensor.name] = std::string(bytes, tensor.bytes);
      continue;
    }
    const std::size_t row = modules.empty() ? 0 : tensor.bytes / modules.size();
    for (std::size_t i = 0; i < modules.size(); ++i) pieces[modules[i].uid] = std::string(bytes + i * row, row);
  }
  return pieces;
}

/// Whether two routers have the same in all that both have.
bool agree(const ObjectStore& store, const LayerManifest& before, const LayerManifest& after, Kind kind) {
  try {
    const auto open = [&](const LayerManifest& layer) {
      if (layer.router(kind).empty()) return std::map<std::string, std::string>();
      return router_pieces(SafetensorsFile::open(store.path(layer.router(kind))), layer.modules(kind));
    };
    const auto old = open(before), now = open(after);
    return std::all_of(old.begin(), old.end(), [&](const auto& piece) {
      const auto found = now.find(piece.first);
      return found == now.end() || found->second == piece.second;
    });
  } catch (const Error&) {
    return false;
  }
}

std::string router_name(std::size_t layer, Kind kind) {
  return names::bank(static_cast<std::int64_t>(layer), kind);
}

/// Names of those that differ or that one version lacks, in the order of the names.
std::vector<std::string> changed_routers(const Manifest& before, const Manifest& after) {
  const std::size_t fewest = std::min(before.layers.size(), after.layers.size());
  const std::size_t most = std::max(before.layers.size(), after.layers.size());
  std::vector<std::string> changed;
  for (std::size_t l = 0; l < most; ++l) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      const bool same = l < fewest && before.layers[l].router(kind) == after.layers[l].router(kind);
      if (!same) changed.push_back(router_name(l, kind));
    }
  }
  std::sort(changed.begin(), changed.end());
  return changed;
}

struct Place {
  int layer;
  Kind kind;
  std::int64_t index;
  const ManifestModule& module;
};

bool is_same_bank(const Manifest& one, const Manifest& other, std::size_t layer, Kind kind) {
  return layer < other.layers.size() && one.layers[layer].modules(kind) == other.layers[layer].modules(kind);
}

/// In the order of the version, without the banks that the other one has alike: a module never changes its bank.
std::vector<Place> places_of(const Manifest& manifest, const Manifest& other) {
  std::vector<Place> places;
  for (std::size_t layer = 0; layer < manifest.layers.size(); ++layer) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      if (is_same_bank(manifest, other, layer, kind)) continue;
      std::int64_t index = 0;
      for (const ManifestModule& module : manifest.layers[layer].modules(kind)) {
        places.push_back({static_cast<int>(layer), kind, index++, module});
      }
    }
  }
  return places;
}

void compare_modules(const Manifest& before, const Manifest& after, VersionDiff& diff) {
  for (std::size_t layer = 0; layer < after.layers.size(); ++layer) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      if (!is_same_bank(after, before, layer, kind)) continue;
      diff.same_modules += static_cast<std::int64_t>(after.layers[layer].modules(kind).size());
    }
  }
  std::unordered_map<std::string_view, Place> later;
  for (const Place& place : places_of(after, before)) later.emplace(place.module.uid, place);
  std::unordered_set<std::string_view> known;
  for (const Place& old : places_of(before, after)) {
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
  for (const Place& place : places_of(after, before)) {
    if (known.contains(place.module.uid)) continue;
    diff.modules.push_back({place.module.uid, place.layer, place.kind, -1, place.index});
  }
}

}  // namespace

bool VersionDiff::same() const {
  return config.empty() && !tokenizer && trunk.empty() && domains.empty() && routers.empty() && modules.empty();
}

bool VersionDiff::nothing_old_changed() const {
  const ModuleCounts counts = count_changes(*this);
  return !tokenizer && trunk.empty() && old_routers.empty() && counts.removed + counts.retrained == 0 &&
         std::all_of(domains.begin(), domains.end(),
                     [](const PrivateChange& change) { return change.removed + change.changed == 0; });
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

namespace {

/// As long as the manifest lives.
std::unordered_set<std::string_view> objects_of(const Manifest& manifest) {
  std::unordered_set<std::string_view> objects = {manifest.tokenizer_object};
  for (const TrunkPart& part : manifest.parts) objects.insert(part.object_hash);
  for (const LayerManifest& layer : manifest.layers) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      objects.insert(layer.router(kind));
      for (const ManifestModule& module : layer.modules(kind)) objects.insert(module.object_hash);
    }
  }
  objects.erase("");
  return objects;
}

VersionDiff compare(const Manifest& before, const Manifest& after, const ObjectStore* store) {
  VersionDiff diff;
  diff.config = config_changes(before, after);
  diff.tokenizer = before.tokenizer_object != after.tokenizer_object;
  compare_parts(before, after, store, diff);
  diff.routers = changed_routers(before, after);
  diff.old_routers = diff.routers;
  compare_modules(before, after, diff);
  return diff;
}

}  // namespace

std::vector<std::string> new_objects(const Manifest& before, const Manifest& after) {
  const auto old = objects_of(before);
  std::vector<std::string> added;
  for (const std::string_view object : objects_of(after)) {
    if (!old.contains(object)) added.emplace_back(object);
  }
  std::sort(added.begin(), added.end());
  return added;
}

VersionDiff diff_versions(const Manifest& before, const Manifest& after) {
  return compare(before, after, nullptr);
}

VersionDiff diff_versions(const Registry& registry, const Manifest& before, const Manifest& after,
                          const std::set<std::pair<int, Kind>>& changed_routers) {
  VersionDiff diff = compare(before, after, &registry.objects());
  for (std::size_t l = 0; l < std::min(before.layers.size(), after.layers.size()); ++l) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      if (before.layers[l].router(kind) == after.layers[l].router(kind)) continue;
      if (changed_routers.contains({static_cast<int>(l), kind})) continue;
      if (agree(registry.objects(), before.layers[l], after.layers[l], kind)) {
        std::erase(diff.old_routers, router_name(l, kind));
      }
    }
  }
  return diff;
}

}  // namespace mformer
