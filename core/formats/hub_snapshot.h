#pragma once

#include <filesystem>
#include <string>

#include "modules_registry/scratch_folder.h"

namespace mformer {

/// Throws Error unless a snapshot may be added to `model`, the folder of a model in a hub's local cache, without taking
/// another's place: nothing is there, or a folder of the cache's layout whose refs/main, if there is one, names a
/// snapshot that mformer wrote.
void require_hub_model(const std::filesystem::path& model);

/// A snapshot in the making, in the layout that the hub's own client downloads into, so that readers of the cache find
/// it: blobs/<SHA-256 of a file>, snapshots/<revision>/<name> as links to those, and refs/main, which says the
/// revision: 40 hexadecimal digits that follow from names and bytes of the files. Files get their names when they are
/// on disk, and refs/main is the last of all: killed or refused by the disk anywhere, it names the snapshot of before,
/// which stays whole. Of a killed one `.tmp-hub-…` is left, which the next one removes, and blobs that it uses again.
class HubSnapshot {
 public:
  /// `model` as of real_path(), made if it is missing. Throws Error if that fails, and what require_hub_model() throws.
  explicit HubSnapshot(const std::filesystem::path& model);

  /// Where the checkpoint is to be written: a folder that is not there yet.
  std::filesystem::path checkpoint() const { return scratch_.path() / "checkpoint"; }

  /// Makes a snapshot of the files in checkpoint(), and lets refs/main name it. Returns its folder. Throws Error, and
  /// refs/main names what it did.
  std::filesystem::path put_in_place();

 private:
  std::filesystem::path model_;
  ScratchFolder scratch_;
};

}  // namespace mformer
