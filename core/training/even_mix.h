#pragma once

#include <vector>

#include "core/training/batch.h"

namespace mformer {

/// Windows of several data sets in equal parts, whatever their sizes: the rows of all batches take turns through the
/// sets, each a random window of its set. Which ones depends on (seed, step) alone. `sets`: not empty, of one context.
BatchSource even_mix(std::vector<PackedWindows> sets, std::uint64_t seed, std::int64_t batch_size);

}  // namespace mformer
