#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

namespace mformer::kernels {

/// Stick-breaking attention (ModuleFormer, arXiv 2306.04640, section 3): with z_ij = q_i·k_j / √head_size and
/// β = σ(z), query i gives key j ≤ i the weight β_ij · Π_{j<m≤i} (1 − β_im). The nearest key breaks the stick first,
/// the query's own position included; weights sum to at most 1. No position encoding is needed.
///
/// query     [batch, tokens, k, heads, head_size]: k queries per token (one per chosen attention module), which share
///           the token's keys. float32, float64, bfloat16 or float16.
/// key       [batch, keys, heads, head_size], same dtype; keys ≥ tokens. Query t stands at position keys − tokens + t:
///           with a key/value cache, `keys` counts the cached positions too.
/// value     [batch, keys, heads, head_size], same dtype. Key and value may be views of a larger room (any strides but
///           the last): nothing is copied.
/// key_mask  [batch, keys], bool, true = a real token; padded keys have β = 0. Absent: all real.
///
/// Returns [batch, tokens, k, heads, head_size] in query's dtype. Scores, sticks and sums are float32 (float64 for
/// float64); for bfloat16 the weights, and in the backward pass the gradients of the scores, are rounded to it when
/// they are multiplied. Differentiable in query, key and value; works in tiles and recomputes them in the backward
/// pass, so memory is linear in `keys`. The same input gives the same bits, whatever the number of threads. A rest of
/// the stick below 1e-35 counts as nothing left. All tensors on one device. Throws c10::Error naming the argument on
/// any mismatch.
at::Tensor stick_breaking_attention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                                    const std::optional<at::Tensor>& key_mask = std::nullopt);

}  // namespace mformer::kernels
