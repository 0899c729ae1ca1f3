#include "core/history/provenance.h"

#include <map>
#include <nlohmann/json.hpp>

#include "modules_registry/files.h"

namespace mformer {
namespace {

/// Position of each module in its bank.
std::map<std::string, std::int64_t> positions(const Manifest& manifest) {
  std::map<std::string, std::int64_t> result;
  for (const LayerManifest& layer : manifest.layers) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      const auto& modules = layer.modules(kind);
      for (std::size_t i = 0; i < modules.size(); ++i) result[modules[i].uid] = static_cast<std::int64_t>(i);
    }
  }
  return result;
}

std::map<std::string, std::int64_t> positions(const Model& model) {
  std::map<std::string, std::int64_t> result;
  for (const Block& block : model.blocks) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      const auto& modules = block.bank(kind).modules;
      for (std::size_t i = 0; i < modules.size(); ++i) result[modules[i].uid] = static_cast<std::int64_t>(i);
    }
  }
  return result;
}

}  // namespace

std::string provenance_json(const Registry& registry, const VersionRecord& version, const Model& model,
                            const std::string& card) {
  std::map<std::string, std::int64_t> before;
  if (!version.parent.empty()) before = positions(registry.manifest(version.parent));
  const auto now = positions(model);
  nlohmann::ordered_json modules = nlohmann::ordered_json::array();
  for (const ModuleRecord& record : registry.modules(version.hash)) {
    if (now.count(record.uid) == 0) continue;
    nlohmann::ordered_json entry = {{"uid", record.uid},
                                    {"layer", record.layer},
                                    {"kind", to_string(record.kind)},
                                    {"index", now.at(record.uid)},
                                    {"index_in_parent", nullptr},
                                    {"born_by", record.born_command},
                                    {"born_for", record.born_task},
                                    {"copied_from", record.copied_from}};
    const auto old = before.find(record.uid);
    if (old != before.end()) entry["index_in_parent"] = old->second;
    modules.push_back(std::move(entry));
  }
  const nlohmann::ordered_json provenance = {{"format", 1},
                                             {"model", to_string(version)},
                                             {"version", version.hash},
                                             {"parent", version.parent},
                                             {"content", version.content_hash},
                                             {"card", sha256_hex(card)},
                                             {"modules", modules}};
  using Json = nlohmann::ordered_json;
  return provenance.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace mformer
