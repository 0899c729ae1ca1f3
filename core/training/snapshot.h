#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "core/training/adamw.h"

namespace mformer {

/// Everything a run needs to go on: trained parameters, moments, the number of steps taken. Written atomically, so a
/// kill leaves the previous snapshot. The file does not say on which device they were. The weights of everything
/// untrained are not in it.
void save_snapshot(const std::filesystem::path& folder, const AdamW& optimizer);

/// Fills parameters and moments from the folder's snapshot and returns the steps taken, or nothing if there is none.
/// Throws Error when the snapshot does not fit the parameters, or is damaged: the file carries a checksum of all that it
/// says.
std::optional<std::int64_t> load_snapshot(const std::filesystem::path& folder, AdamW& optimizer);

}  // namespace mformer
