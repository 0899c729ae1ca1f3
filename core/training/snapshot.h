#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/training/adamw.h"

namespace mformer {

/// Handles of tensors, on whatever device, with names of their own.
using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

/// Everything a run needs to go on: trained parameters, moments, the number of steps taken, and `more`. Written
/// atomically, so a kill leaves the previous snapshot. The file does not say on which device they were. The weights of
/// everything untrained are not in it.
void save_snapshot(const std::filesystem::path& folder, const AdamW& optimizer, const NamedTensors& more = {});

/// Fills parameters, moments and `more` from the folder's snapshot and returns the steps taken, or nothing if there is
/// none. Throws Error when the snapshot does not fit the parameters, or is damaged: the file carries a checksum of all
/// that it says.
std::optional<std::int64_t> load_snapshot(const std::filesystem::path& folder, AdamW& optimizer,
                                          const NamedTensors& more = {});

}  // namespace mformer
