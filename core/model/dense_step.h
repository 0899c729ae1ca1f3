#pragma once

#include "core/model/inference.h"

// A decoded token through a model whose layers are all dense: the same as forward(), without what LibTorch takes for
// each of the small operations between the products.
namespace mformer {

/// Whether dense_step() does what this model does: softmax attention, no router and no shared expert in any layer,
/// modules packed as one matrix, and nothing that is rare (keys without projections, norms over all queries together,
/// clipping).
bool takes_dense_steps(const PreparedModel& model);

/// The residual stream [1, n_embd], float32, after all blocks, of a token whose embedding is `x`, with the cache's
/// tokens before it; the cache gets its keys and values and is advanced.
void dense_step(const PreparedModel& model, KeyValueCache& cache, at::Tensor& x);

}  // namespace mformer
