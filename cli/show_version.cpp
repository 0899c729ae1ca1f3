#include <algorithm>
#include <array>
#include <map>

#include "cli/describe.h"
#include "cli/operation_report.h"
#include "cli/show_reports.h"
#include "cli/show_scores.h"
#include "cli/terminal/format.h"
#include "cli/terminal/table.h"
#include "cli/terminal/text.h"
#include "cli/version_change.h"
#include "core/formats/parameter_names.h"
#include "core/history/lineage.h"

namespace mformer::cli {
namespace {

using namespace terminal;
using nlohmann::ordered_json;

/// What is known of a version beside its records.
struct VersionFacts {
  Manifest manifest;
  OperationRecord operation;
  VersionChange change;
  std::string merged;                     ///< a merge's second branch, or empty
  std::vector<std::string> models, tags;  ///< that stand here
  std::vector<VersionRecord> children;
  std::map<std::string, std::int64_t> parts;  ///< of the trunk under "", of domains under their names
};

VersionFacts facts_of(const Registry& registry, const VersionRecord& version) {
  VersionFacts facts;
  facts.manifest = registry.manifest(version.hash);
  facts.operation = registry.operation(version.operation_id);
  facts.change = VersionChanges(registry).of(version);
  if (const auto source = merge_source(facts.operation)) facts.merged = source->name;
  for (const ModelRecord& model : registry.models()) {
    if (model.current_version == version.hash) facts.models.push_back(model.name);
  }
  for (const TagRecord& tag : registry.tags()) {
    if (tag.version == version.hash) facts.tags.push_back(tag.name);
  }
  for (const VersionRecord& other : registry.all_versions()) {
    if (other.parent == version.hash) facts.children.push_back(other);
  }
  for (const TrunkPart& part : facts.manifest.parts) ++facts.parts[names::owner_of_part(part.name)];
  return facts;
}

std::string names_text(const VersionFacts& facts) {
  std::string text;
  for (const std::string& model : facts.models) text += (text.empty() ? "" : ", ") + model;
  for (const std::string& tag : facts.tags) text += (text.empty() ? "tag " : ", tag ") + tag;
  return text.empty() ? "-" : text;
}

std::string parts_text(const VersionFacts& facts) {
  std::string text;
  for (const auto& [owner, count] : facts.parts) {
    text += (text.empty() ? "" : "; ") + std::to_string(count) +
            (owner.empty() ? " of the trunk" : " private parts of domain " + owner);
  }
  return text.empty() ? "none" : text;
}

void write_version_facts(Report& report, const Registry& registry, const VersionRecord& version,
                         const VersionFacts& facts) {
  std::ostream& text = report.text();
  text << "version    " << version_name(version) << "\nhash       " << version.hash << "\nnames      "
       << printable(names_text(facts)) << "\nmade       " << utc_time(version.created_ms) << " UTC by operation "
       << facts.operation.id << ": " << printable(command_text(facts.operation)) << "\nfrom       "
       << version_name(registry, version.parent) << (facts.merged.empty() ? "" : " + " + printable(facts.merged))
       << "\nchanged    " << change_text(facts.change) << '\n';
  if (!facts.change.first && facts.change.diff.nothing_old_changed()) {
    text << "           nothing old changed: all that it was made from is in it, bit for bit\n";
  }
  std::string children;
  for (const VersionRecord& child : facts.children) children += (children.empty() ? "" : ", ") + version_name(child);
  text << "became     " << (children.empty() ? "-" : children) << "\nsize       "
       << byte_size(registry.version_bytes(version.hash)) << ", of which " << byte_size(facts.change.bytes)
       << " came with it\ntokenizer  "
       << (facts.manifest.tokenizer_object.empty() ? "none" : short_hash(facts.manifest.tokenizer_object))
       << "\nparts      " << parts_text(facts) << '\n';
}

ordered_json parts_json(const VersionFacts& facts) {
  ordered_json rows = ordered_json::array();
  for (const auto& [owner, count] : facts.parts) {
    rows.push_back({{"domain", owner.empty() ? ordered_json() : ordered_json(owner)}, {"parts", count}});
  }
  return rows;
}

/// Modules by layer, and by birth.
void report_modules_in_short(Report& report, const Registry& registry, const VersionRecord& version,
                             const VersionFacts& facts) {
  auto& layers = report.data()["layers"] = ordered_json::array();
  Table table({{"layer"}, {"attention"}, {"frozen"}, {"feed-forward"}, {"frozen"}});
  for (std::size_t layer = 0; layer < facts.manifest.layers.size(); ++layer) {
    std::array<std::int64_t, 4> counts{};
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      const auto& modules = facts.manifest.layers[layer].modules(kind);
      const std::size_t at = kind == Kind::att ? 0 : 2;
      counts[at] = std::ssize(modules);
      counts[at + 1] = std::count_if(modules.begin(), modules.end(), [](const auto& module) { return module.frozen; });
    }
    layers.push_back({{"layer", layer},
                      {"att", counts[0]},
                      {"att_frozen", counts[1]},
                      {"mlp", counts[2]},
                      {"mlp_frozen", counts[3]}});
    table.add_row({std::to_string(layer), format_count(counts[0]), format_count(counts[1]), format_count(counts[2]),
                   format_count(counts[3])});
  }
  report.text() << '\n' << table.str(report.style());
  std::map<std::int64_t, std::pair<std::string, std::int64_t>> births;  // by operation: its name, its modules
  for (const ModuleRecord& module : registry.modules(version.hash)) {
    auto& birth = births[module.born_operation];
    birth.first = birth_name(module);
    ++birth.second;
  }
  auto& rows = report.data()["births"] = ordered_json::array();
  Table born({{"born by", Align::left}, {"operation"}, {"modules"}});
  for (const auto& [operation, birth] : births) {
    rows.push_back({{"born", birth.first}, {"operation", operation}, {"modules", birth.second}});
    born.add_row({birth.first, std::to_string(operation), format_count(birth.second)});
  }
  report.text() << '\n' << born.str(report.style());
}

}  // namespace

void report_version(Report& report, const Registry& registry, const VersionRecord& version) {
  const VersionFacts facts = facts_of(registry, version);
  ordered_json& data = report.data();
  data["model_version"] = version_json(version);
  data["models"] = facts.models;
  data["tags"] = facts.tags;
  data["created_ms"] = version.created_ms;
  data["operation"] = facts.operation.id;
  data["made_by"] = facts.operation.command;
  data["parent"] = version_json(registry, version.parent);
  data["merged"] = facts.merged.empty() ? ordered_json() : ordered_json(facts.merged);
  auto& children = data["children"] = ordered_json::array();
  for (const VersionRecord& child : facts.children) children.push_back(version_json(child));
  data["bytes"] = registry.version_bytes(version.hash);
  add_change(data, facts.change);
  const std::string& tokenizer = facts.manifest.tokenizer_object;
  data["tokenizer"] = tokenizer.empty() ? ordered_json() : ordered_json(tokenizer);
  data["config"] = ordered_json::parse(facts.manifest.config_json, nullptr, /*allow_exceptions=*/false);
  data["parts"] = parts_json(facts);
  write_version_facts(report, registry, version, facts);
  report_modules_in_short(report, registry, version, facts);
  report_scores(report, registry, registry.scores(version.hash), ScoresOf::version, /*limit=*/0);
}

}  // namespace mformer::cli
