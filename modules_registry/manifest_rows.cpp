#include "modules_registry/manifest_rows.h"

#include <utility>

#include "modules_registry/error.h"

namespace mformer {

Manifest ManifestReader::read(const std::string& version) {
  Manifest manifest;
  head_.bind(version);
  if (!head_.next()) return manifest;
  manifest.config_json = head_.text(1);
  manifest.tokenizer_object = head_.text(2);

  parts_.bind(head_.integer(0));
  while (parts_.next()) manifest.parts.push_back({parts_.text(0), parts_.text(1)});

  banks_.bind(version);
  for (Kind kind = Kind::att; banks_.next(); kind = kind == Kind::att ? Kind::mlp : Kind::att) {
    if (kind == Kind::att) manifest.layers.emplace_back();
    const auto layer = static_cast<std::int64_t>(manifest.layers.size()) - 1;
    if (banks_.integer(0) != layer || kind_from_string(banks_.text(1)) != kind) {
      throw Error("version " + version + " lacks its layer " + std::to_string(layer),
                  "mformer fsck says what is wrong");
    }
    manifest.layers.back().router(kind) = banks_.text(3);
    manifest.layers.back().modules(kind) = bank(banks_.integer(2)).modules;
  }
  return manifest;
}

StoredBanks ManifestReader::banks(const std::string& version) {
  StoredBanks banks;
  banks_.bind(version);
  while (banks_.next()) {
    const auto layer = static_cast<int>(banks_.integer(0));
    banks[{layer, kind_from_string(banks_.text(1))}] = bank(banks_.integer(2));
  }
  return banks;
}

const StoredBank& ManifestReader::bank(std::int64_t id) {
  if (const auto known = known_.find(id); known != known_.end()) return known->second;
  constexpr std::size_t kMany = 2'000;  // some ten versions of a large model: some MB
  if (known_.size() >= kMany) known_.clear();
  StoredBank bank;
  bank.id = id;
  modules_.bind(id);
  while (modules_.next()) {
    bank.revisions.push_back(modules_.integer(0));
    bank.modules.push_back({modules_.text(1), modules_.text(2), modules_.integer(3) != 0});
  }
  return known_[id] = std::move(bank);
}

}  // namespace mformer
