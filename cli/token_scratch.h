#pragma once

#include <filesystem>

#include "modules_registry/scratch_folder.h"

namespace mformer::cli {

/// A folder for tokens outside of a workspace that must not change: what its cache holds is linked there, what is made
/// beside it goes with this object. Tokens that are open stay so.
class TokenScratch {
 public:
  /// `cache`: the workspace's; need not be there. Throws Error if the folder for temporary files can't be written to.
  explicit TokenScratch(const std::filesystem::path& cache);
  const std::filesystem::path& path() const { return folder_.path(); }

 private:
  ScratchFolder folder_;
};

}  // namespace mformer::cli
