#include "core/transfer/parcel_json.h"

#include <limits>
#include <set>

#include "core/transfer/json_fields.h"

namespace mformer {
namespace {

using namespace fields;
using nlohmann::json;

// ---- Manifests ------------------------------------------------------------------------------------------------------

json to_json(const std::vector<ManifestModule>& modules) {
  json rows = json::array();
  for (const ManifestModule& module : modules) rows.push_back({module.uid, module.object_hash, module.frozen});
  return rows;
}

std::vector<ManifestModule> modules_of(const json& rows) {
  std::vector<ManifestModule> modules;
  for (const json& row : rows) {
    if (!item(row, 2).is_boolean()) fail_form("a flag is none");
    modules.push_back({uid_of(item(row, 0)), hash_of(item(row, 1)), item(row, 2).get<bool>()});
  }
  return modules;
}

json to_json(const Manifest& manifest) {
  json parts = json::array(), layers = json::array();
  for (const TrunkPart& part : manifest.parts) parts.push_back({part.name, part.object_hash});
  for (const LayerManifest& layer : manifest.layers) {
    layers.push_back({{"att_router", layer.att_router},
                      {"att", to_json(layer.att)},
                      {"mlp_router", layer.mlp_router},
                      {"mlp", to_json(layer.mlp)}});
  }
  return {{"config", manifest.config_json},
          {"tokenizer", manifest.tokenizer_object},
          {"parts", std::move(parts)},
          {"layers", std::move(layers)}};
}

Manifest manifest_of(const json& object) {
  Manifest manifest{text(object, "config"), hash_of(member(object, "tokenizer"), true), {}, {}};
  for (const json& row : list(object, "parts"))
    manifest.parts.push_back({text_of(item(row, 0)), hash_of(item(row, 1))});
  if (list(object, "layers").size() > kMostLayers) fail_form("too many layers");
  for (const json& row : list(object, "layers")) {
    manifest.layers.push_back({modules_of(list(row, "att")), modules_of(list(row, "mlp")),
                               hash_of(member(row, "att_router"), true), hash_of(member(row, "mlp_router"), true)});
  }
  return manifest;
}

// ---- Rows -----------------------------------------------------------------------------------------------------------

json to_json(const OperationRecord& operation) {
  json data = json::array();
  for (const OperationData& read : operation.data) data.push_back({read.role, read.task, read.path, read.content_hash});
  return {{"uid", operation.uid},
          {"command", operation.command},
          {"arguments", operation.arguments_json},
          {"seed", operation.seed},
          {"code_version", operation.code_version},
          {"started_ms", operation.started_ms},
          {"ended_ms", operation.ended_ms},
          {"outcome", to_string(operation.outcome)},
          {"message", operation.message},
          {"model", operation.model},
          {"before", operation.version_before},
          {"after", operation.version_after},
          {"line", operation.typed.line},
          {"folder", operation.typed.folder},
          {"threads", operation.typed.threads},
          {"origin", operation.origin},
          {"data", std::move(data)}};
}

OperationRecord operation_of(const json& object) {
  OperationRecord operation;
  operation.uid = uid_of(member(object, "uid"));
  operation.command = text(object, "command");
  operation.arguments_json = arguments_of(member(object, "arguments"));
  operation.seed = number_of(member(object, "seed"), std::numeric_limits<std::int64_t>::min(),
                             std::numeric_limits<std::int64_t>::max());
  operation.code_version = text(object, "code_version");
  operation.started_ms = count(object, "started_ms");
  operation.ended_ms = count(object, "ended_ms");
  const std::string outcome = text(object, "outcome");
  if (outcome != "done" && outcome != "failed" && outcome != "interrupted") fail_form("an operation has not ended");
  operation.outcome = outcome_from_string(outcome);
  operation.message = text(object, "message");
  operation.model = text(object, "model");
  operation.version_before = hash_of(member(object, "before"), true);
  operation.version_after = hash_of(member(object, "after"), true);
  operation.typed = {line_of(member(object, "line")), text(object, "folder"),
                     static_cast<int>(count(object, "threads", 1 << 20))};
  operation.origin = uid_of(member(object, "origin"));
  for (const json& row : list(object, "data")) {
    operation.data.push_back(
        {text_of(item(row, 0)), text_of(item(row, 1)), text_of(item(row, 2)), text_of(item(row, 3))});
  }
  return operation;
}

json to_json(const ParcelModule& born) {
  const ModuleRecord& module = born.module;
  return {module.uid,          to_string(module.kind), module.layer,       born.operation_uid,
          module.born_command, module.born_task,       module.copied_from, module.created_ms};
}

ParcelModule module_of(const json& row) {
  ParcelModule born;
  born.module.uid = uid_of(item(row, 0));
  born.module.kind = kind_of(item(row, 1));
  born.module.layer = static_cast<int>(number_of(item(row, 2), 0, kMostLayers));
  born.operation_uid = uid_of(item(row, 3));
  born.module.born_command = text_of(item(row, 4));
  born.module.born_task = text_of(item(row, 5));
  born.module.copied_from = text_of(item(row, 6));
  born.module.created_ms = number_of(item(row, 7), 0, std::numeric_limits<std::int64_t>::max());
  return born;
}

json to_json(const ParcelVersion& made) {
  const VersionRecord& version = made.version;
  return {{"hash", version.hash},
          {"parent", version.parent},
          {"operation", made.operation_uid},
          {"model", version.model},
          {"number", version.number},
          {"created_ms", version.created_ms},
          {"manifest", to_json(made.manifest)}};
}

ParcelVersion version_of(const json& object) {
  ParcelVersion made;
  made.version.hash = hash_of(member(object, "hash"));
  made.version.parent = hash_of(member(object, "parent"), true);
  made.operation_uid = uid_of(member(object, "operation"));
  made.version.model = text(object, "model");
  made.version.number = static_cast<int>(number_of(member(object, "number"), 1, 1 << 30));
  made.version.created_ms = count(object, "created_ms");
  made.manifest = manifest_of(member(object, "manifest"));
  return made;
}

/// Fields that an older program does not write, at the end of a row or of their own.
std::string measured_by(const json& uid) {
  return uid == "" ? "" : uid_of(uid);
}

json to_json(const ParcelScore& arrived) {
  const Score& score = arrived.score;
  return {score.version,     score.task,        score.split, score.metric,         score.value,
          score.token_count, score.token_limit, score.part,  arrived.operation_uid};
}

ParcelScore score_of(const json& row) {
  const std::int64_t most = std::numeric_limits<std::int64_t>::max();
  Score score{hash_of(item(row, 0)), text_of(item(row, 1)), text_of(item(row, 2)),
              text_of(item(row, 3)), real_of(item(row, 4)), number_of(item(row, 5), 0, most)};
  score.token_limit = number_of(item(row, 6), -1, most);
  score.part = static_cast<int>(number_of(item(row, 7), -1, 1 << 30));
  return {score, row.size() > 8 ? measured_by(row[8]) : ""};
}

json to_json(const ParcelStats& stats) {
  json rows = json::array();
  for (const RoutingStat& stat : stats.rows) {
    rows.push_back({stat.layer, to_string(stat.kind), stat.module_uid, stat.slots, stat.gate_mass,
                    stat.weighted_output_norm, stat.tokens});
  }
  return {{"version", stats.version},      {"task", stats.task_content},       {"split", stats.on.split},
          {"limit", stats.on.token_limit}, {"operation", stats.operation_uid}, {"rows", std::move(rows)}};
}

ParcelStats stats_of(const json& object) {
  ParcelStats stats{hash_of(member(object, "version")), text(object, "task"), {}, {}, ""};
  const std::int64_t most = std::numeric_limits<std::int64_t>::max();
  if (object.contains("split")) {
    stats.on = {text(object, "split"), number_of(member(object, "limit"), -1, most), 0};
    stats.operation_uid = measured_by(member(object, "operation"));
  }
  for (const json& row : list(object, "rows")) {
    stats.rows.push_back({static_cast<int>(number_of(item(row, 0), 0, kMostLayers)), kind_of(item(row, 1)),
                          uid_of(item(row, 2)), number_of(item(row, 3), 0, most), real_of(item(row, 4)),
                          real_of(item(row, 5)), number_of(item(row, 6), 0, most)});
  }
  return stats;
}

template <class T>
json rows_of(const std::vector<T>& records) {
  json rows = json::array();
  for (const T& record : records) rows.push_back(to_json(record));
  return rows;
}

}  // namespace

std::vector<std::string> hashes_of(const json& rows) {
  if (!rows.is_array()) fail_form("a list of hashes is none");
  std::vector<std::string> hashes;
  for (const json& row : rows) hashes.push_back(hash_of(row));
  return hashes;
}

json to_json(const Offer& offer) {
  return {{"model", offer.model}, {"current", offer.current}, {"versions", offer.versions}, {"tags", offer.tags}};
}

Offer offer_of(const json& object) {
  return offer_of(object, hashes_of(member(object, "versions")));
}

Offer offer_of(const json& object, std::vector<std::string> offered) {
  Offer offer{name_of(member(object, "model"), "model"), hash_of(member(object, "current")), std::move(offered), {}};
  if (!object.contains("tags")) return offer;  // of an older program
  if (!object["tags"].is_object()) fail_form("'tags' is none");
  const std::set<std::string> versions(offer.versions.begin(), offer.versions.end());
  for (const auto& [name, hash] : object["tags"].items()) {
    if (!versions.contains(hash_of(hash))) fail_form("a tag is of no version of the model");
    offer.tags.emplace(name_of(name, "tag"), hash);
  }
  return offer;
}

json to_json(const Decision& decision) {
  json tags = json::array();
  for (const TagArrival& tag : decision.tags) tags.push_back({tag.name, tag.version, tag.there});
  return {{"arrival", to_string(decision.arrival)},
          {"into", decision.into},
          {"seen", decision.seen},
          {"want", decision.want},
          {"tags", std::move(tags)}};
}

Decision decision_of(const json& object) {
  Decision decision{arrival_from_string(text(object, "arrival")),
                    name_of(member(object, "into"), "model"),
                    hash_of(member(object, "seen"), true),
                    hashes_of(member(object, "want")),
                    {}};
  if (!object.contains("tags")) return decision;  // of an older program
  for (const json& row : list(object, "tags")) {
    decision.tags.push_back({name_of(item(row, 0), "tag"), hash_of(item(row, 1)), text_of(item(row, 2))});
  }
  return decision;
}

json to_json(const Parcel& parcel) {
  return {{"model", parcel.model},
          {"current", parcel.current},
          {"operations", rows_of(parcel.operations)},
          {"modules", rows_of(parcel.modules)},
          {"versions", rows_of(parcel.versions)},
          {"scores", rows_of(parcel.scores)},
          {"sizes", parcel.sizes},
          {"statistics", rows_of(parcel.stats)}};
}

Parcel parcel_of(const json& object) {
  Parcel parcel;
  for (const char* field : {"model", "current"}) add_to_parcel(parcel, field, "", member(object, field));
  for (const char* field : {"operations", "modules", "versions", "scores", "statistics"}) {
    for (const json& row : list(object, field)) add_to_parcel(parcel, field, "", row);
  }
  const json& sizes = member(object, "sizes");
  if (!sizes.is_object()) fail_form("'sizes' is none");
  for (const auto& [hash, size] : sizes.items()) add_to_parcel(parcel, "sizes", hash, size);
  return parcel;
}

void add_to_parcel(Parcel& parcel, const std::string& field, const std::string& name, const json& row) {
  if (field == "model") parcel.model = name_of(row, "model");
  if (field == "current") parcel.current = hash_of(row);
  if (field == "operations") parcel.operations.push_back(operation_of(row));
  if (field == "modules") parcel.modules.push_back(module_of(row));
  if (field == "versions") parcel.versions.push_back(version_of(row));
  if (field == "scores") parcel.scores.push_back(score_of(row));
  if (field == "statistics") parcel.stats.push_back(stats_of(row));
  if (field == "sizes") parcel.sizes[hash_of(name)] = number_of(row, 0, std::numeric_limits<std::int64_t>::max());
}

}  // namespace mformer
