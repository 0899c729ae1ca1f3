#include "cli/version_change.h"

#include "cli/describe.h"

namespace mformer::cli {
namespace {

constexpr std::size_t kKeptManifests = 16;

std::int64_t module_count(const Manifest& manifest) {
  std::size_t count = 0;
  for (const LayerManifest& layer : manifest.layers) count += layer.att.size() + layer.mlp.size();
  return static_cast<std::int64_t>(count);
}

}  // namespace

const Manifest& VersionChanges::manifest(const std::string& hash) {
  for (const auto& [known, manifest] : kept_) {
    if (known == hash) return manifest;
  }
  // A deque's elements stay where they are while others come at its front or go at its back.
  kept_.emplace_front(hash, registry_.manifest(hash));
  if (kept_.size() > kKeptManifests) kept_.pop_back();
  return kept_.front().second;
}

VersionChange VersionChanges::of(const VersionRecord& version) {
  static const Manifest nothing{"{}", "", {}, {}};
  VersionChange change;
  change.first = version.parent.empty();
  const Manifest& after = manifest(version.hash);
  const Manifest& before = change.first ? nothing : manifest(version.parent);
  change.diff = diff_versions(registry_, before, after);
  change.counts = count_changes(change.diff);
  change.modules = module_count(after);
  for (const std::string& object : new_objects(before, after)) change.bytes += registry_.object_bytes(object);
  return change;
}

std::string change_text(const VersionChange& change) {
  const ModuleCounts& counts = change.counts;
  if (change.first) return std::to_string(counts.added) + " modules, all new";
  if (change.diff.same()) return "nothing changed";
  std::string text;
  const auto say = [&text](std::int64_t count, const char* what) {
    if (count == 0) return;
    const char* noun = !text.empty() ? " " : count == 1 ? " module " : " modules ";
    text += (text.empty() ? "" : ", ") + std::to_string(count) + noun + what;
  };
  say(counts.added, "added");
  say(counts.removed, "removed");
  say(counts.retrained, "retrained");
  say(counts.frozen, "frozen");
  say(counts.unfrozen, "unfrozen");
  const VersionDiff& diff = change.diff;
  text += std::string(text.empty() ? "" : "; ") + "trunk: ";
  text += diff.trunk.empty() ? "same" : std::to_string(diff.trunk.size()) + " parts changed";
  if (!diff.old_routers.empty()) text += "; " + std::to_string(diff.old_routers.size()) + " routers changed";
  const std::string private_parts = private_parts_text(diff.domains);
  return private_parts.empty() ? text : text + "; " + private_parts;
}

void add_change(nlohmann::ordered_json& row, const VersionChange& change) {
  row["added_bytes"] = change.bytes;
  row["modules"] = change.modules;
  row["added"] = change.counts.added;
  row["removed"] = change.counts.removed;
  row["retrained"] = change.counts.retrained;
  row["frozen"] = change.counts.frozen;
  row["unfrozen"] = change.counts.unfrozen;
  row["trunk"] = change.diff.trunk;
  row["routers"] = change.diff.routers;
  row["old_routers"] = change.diff.old_routers;
  row["private_parts"] = private_parts_json(change.diff.domains);
  row["nothing_old_changed"] =
      change.first ? nlohmann::ordered_json() : nlohmann::ordered_json(change.diff.nothing_old_changed());
}

}  // namespace mformer::cli
