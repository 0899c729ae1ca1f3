#pragma once

#include <filesystem>

namespace mformer {

/// Makes `to`/.mformer a workspace of its own that begins as the one in `dir` is now: its rows are copied, its objects
/// and cached tokens linked. Whatever is written there stays there. Beside .mformer lie links to all that lies beside
/// the original's, so that relative paths hold. `to` must be an empty folder. Throws Error.
void copy_registry(const std::filesystem::path& dir, const std::filesystem::path& to);

}  // namespace mformer
