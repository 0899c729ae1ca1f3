#include "core/transfer/parcel_json.h"

#include <limits>
#include <set>

#include "core/transfer/json_fields.h"
#include "core/transfer/json_rows.h"
#include "modules_registry/error.h"

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
void write_rows(const char* field, const std::vector<T>& records, const TextSink& sink) {
  sink(std::string(",\"") + field + "\":[");
  for (const char* before = ""; const T& record : records) {
    sink(before + text_of_row(to_json(record)));
    before = ",";
  }
  sink("]");
}

}  // namespace

std::string text_of_row(const json& row) {
  return row.dump(-1, ' ', false, json::error_handler_t::replace);
}

void write_parcel(const Parcel& parcel, const TextSink& sink) {
  sink("{\"model\":" + text_of_row(parcel.model) + ",\"current\":" + text_of_row(parcel.current));
  write_rows("operations", parcel.operations, sink);
  write_rows("modules", parcel.modules, sink);
  write_rows("versions", parcel.versions, sink);
  write_rows("scores", parcel.scores, sink);
  write_rows("statistics", parcel.stats, sink);
  sink(",\"sizes\":" + text_of_row(parcel.sizes) + '}');
}

Parcel read_parcel(const std::function<std::size_t(std::span<char>)>& more) {
  Parcel parcel;
  std::set<std::string> seen;
  RowReading reading{{"", "/sizes"},
                     {},
                     [&](const std::string& path, const std::string& name, const json& row) {
                       add_to_parcel(parcel, path.empty() ? name : path.substr(1), name, row);
                       if (path.empty()) seen.insert(name);
                     },
                     [&](const std::string& path) { seen.insert(path.empty() ? "" : path.substr(1)); },
                     "what came of a model",
                     "is mformer at the other end of the same version?"};
  for (const char* list : kParcelLists) reading.arrays.insert(std::string("/") + list);
  read_rows(more, reading);
  const auto require = [&](const char* part) {
    if (!seen.contains(part)) throw Error(reading.what + " has no '" + part + "'", reading.hint);
  };
  for (const char* part : {"", "model", "current", "sizes"}) require(part);
  for (const char* list : kParcelLists) require(list);
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
