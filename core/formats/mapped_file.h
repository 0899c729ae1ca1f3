#pragma once

#include <filesystem>
#include <memory>

#include "modules_registry/files.h"

namespace mformer {

/// A file mapped into memory, read-only; `owner` keeps the mapping alive.
struct MappedFile {
  Bytes bytes;
  std::shared_ptr<const void> owner;
};

/// Maps a regular file. Throws Error, naming the path and the system's reason, when that fails.
MappedFile map_file(const std::filesystem::path& path);

}  // namespace mformer
