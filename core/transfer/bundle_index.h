#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "core/transfer/transfer.h"

namespace mformer {

struct BundledModel {
  Offer offer;
  Parcel parcel;
};

/// Reads the index of a bundle (docs/transfer.md) as it comes: `more` fills a part of what it is given and returns how
/// much, 0 at the end. Of JSON no more than one row is in memory at once, so what this takes is a small multiple of
/// what the index says, whoever wrote it. Throws Error for what is no index, or has a row of more than 16 MiB.
std::vector<BundledModel> read_bundle_index(const std::function<std::size_t(std::span<char>)>& more);

}  // namespace mformer
