#pragma once

#include <filesystem>
#include <map>

#include "core/transfer/bundle_index.h"
#include "core/transfer/transfer.h"

namespace mformer {

/// Models with all that they come from in one file: docs/transfer.md has the format.

/// Writes a bundle, whole or not at all. Throws Error if `file` exists. Returns its size in bytes.
std::int64_t write_bundle(Source& source, const std::vector<std::string>& models, const std::filesystem::path& file,
                          const Watcher& watcher);
/// What it would have: models by name, the number of versions and objects, and bytes of objects.
struct BundleSize {
  std::int64_t models = 0, versions = 0, objects = 0, bytes = 0;
};
BundleSize bundle_size(Source& source, const std::vector<std::string>& models);

class BundleSource : public Source {
 public:
  /// Reads all of it, and throws Error unless every object has its hash and the end the checksum of all.
  BundleSource(std::filesystem::path file, const Watcher& watcher);
  std::vector<std::string> models() override;
  Offer offer(const std::string& model) override;
  Parcel parcel(const Offer& offer, const std::vector<std::string>& want,
                const std::vector<Measurements>& measured) override;
  void objects(const std::vector<std::string>& hashes, const TakeObject& take) override;

 private:
  struct Place {
    std::int64_t offset = 0, size = 0;
  };
  const BundledModel& model(const std::string& name) const;

  std::filesystem::path file_;
  std::vector<BundledModel> models_;
  std::map<std::string, Place> places_;
};

}  // namespace mformer
