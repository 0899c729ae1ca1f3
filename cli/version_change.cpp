#include "cli/version_change.h"

#include "cli/describe.h"

namespace mformer::cli {
VersionChange VersionChanges::of(const VersionRecord& version) {
  const VersionPair pair = pairs_.of(version.parent, version.hash);
  VersionChange change;
  change.first = version.parent.empty();
  change.diff = diff_versions(registry_, pair.before, pair.after, pair.changed_routers);
  change.counts = count_changes(change.diff);
  change.modules = pair.modules;
  change.bytes = pair.new_bytes;
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
