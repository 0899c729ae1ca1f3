#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

namespace mformer::kernels {

/// Causal softmax attention with grouped heads.
///
/// query     [batch, tokens, k, heads, size]: query (slot, h) of a token reads key head h, so that k query heads share
///           a key head: k is query heads per key head, or the chosen attention modules of a token, or both.
///           float32, float64, bfloat16 or float16.
/// key       [batch, keys, heads, size], same dtype; keys ≥ tokens. Query t stands at position keys − tokens + t and
///           reads keys up to its own position: with a key/value cache, `keys` counts the cached positions too.
/// value     [batch, keys, heads, size], same dtype. Key and value may be views of a larger room (any strides but the
///           last): nothing is copied.
/// key_mask  [batch, keys], bool, true = a real token; padded keys have no weight. Absent: all real.
/// scale     finite; scores are scale · q·k.
/// window    > 0: a query reads only keys at a distance below it, its own position being at distance 0. 0: all.
///
/// Returns [batch, tokens, k, heads, size] in query's dtype. A query that reads no key gives 0. Scores, weights and
/// sums are float32 (float64 for float64); for bfloat16 the weights of many queries are rounded to it when they are
/// multiplied. Differentiable in query, key and value; memory is linear in `keys`. The same input gives the same bits,
/// whatever the number of threads. All tensors on one device. Throws c10::Error naming the argument on any mismatch.
at::Tensor softmax_attention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                             const std::optional<at::Tensor>& key_mask, double scale, std::int64_t window = 0);

}  // namespace mformer::kernels
