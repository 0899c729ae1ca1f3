#pragma once

#include <vector>

#include "core/model/losses.h"

namespace mformer {

/// concentration_loss() of a batch that several processes share.
at::Tensor shared_concentration_loss(const std::vector<BlockTrace>& routing, double sharpness, double concentration,
                                     const WholeBatch& whole);

}  // namespace mformer
