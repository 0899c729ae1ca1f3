#pragma once

#include <vector>

#include "core/model/inference.h"

// A decoded token in one go through all layers: the same as forward(), without what LibTorch takes for each of the
// small operations between the products.
namespace mformer {

/// Whether token_step() does what this model does: softmax attention whose modules are all taken, packed as one matrix;
/// feed-forward layers of the same kind or behind a linear router, without a shared expert; and nothing that is rare
/// (norms over all queries together, clipping).
bool takes_token_steps(const PreparedModel& model);

/// The residual stream [1, n_embd], float32, after all blocks, of a token whose embedding is `x`, with the cache's
/// tokens before it; the cache gets its keys and values and is advanced. `routing` [layers] learns what routers chose.
void token_step(const PreparedModel& model, KeyValueCache& cache, at::Tensor& x, std::vector<BlockTrace>& routing);

}  // namespace mformer
