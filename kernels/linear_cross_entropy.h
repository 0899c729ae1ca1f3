#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace mformer::kernels {

/// A target that is not counted.
inline constexpr int64_t kIgnoredTarget = -100;

/// Mean cross-entropy, nats per token, of logits = hidden · weightᵀ over the targets that are not −100. The logits are
/// made, used and forgotten some hundred tokens at a time (the gradients along with them, as in arXiv 2410.10989), so
/// memory does not grow with tokens · vocabulary.
/// hidden   [tokens, in], float32 or bfloat16 (products from bfloat16, logits and sums in float32).
/// weight   [vocab, in], float32, or bfloat16 beside bfloat16 hidden.
/// targets  [tokens], int64, each −100 or < vocab.
/// Returns a float32 scalar (NaN without any target), differentiable in hidden and weight; one that needs no gradient
/// costs none. Throws c10::Error naming the argument on any mismatch; on a device, a target that is out of range shows
/// when the device reports it (on CUDA as a failed assertion).
at::Tensor linear_cross_entropy(const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& targets);

/// The same before the mean and without gradients: [tokens] float32, 0 where the target is −100.
at::Tensor linear_cross_entropy_losses(const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& targets);

}  // namespace mformer::kernels
