#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace mformer::kernels {

/// A target that is not counted.
inline constexpr int64_t kIgnoredTarget = -100;

/// Σ over the targets that are not −100 of the cross-entropy, nats, of logits = hidden · weightᵀ, divided by `divisor`.
/// With the number of those targets that is their mean; a step that is taken in parts divides each part by the number
/// in all of them, and the parts' losses and gradients then sum to the whole's. The logits are made, used and forgotten
/// some hundred tokens at a time (the gradients along with them, as in arXiv 2410.10989), so memory does not grow with
/// tokens · vocabulary.
/// hidden   [tokens, in], float32 or bfloat16 (products from bfloat16, logits and sums in float32).
/// weight   [vocab, in], float32, or bfloat16 beside bfloat16 hidden.
/// targets  [tokens], int64, each −100 or < vocab.
/// divisor  at least 1.
/// Returns a float32 scalar, 0 with gradients of 0 without any target, differentiable in hidden and weight; one that
/// needs no gradient costs none. Throws c10::Error naming the argument on any mismatch; on a device, a target that is
/// out of range shows when the device reports it (on CUDA as a failed assertion).
at::Tensor linear_cross_entropy(const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& targets,
                                int64_t divisor);

/// Each token's own, without gradients: [tokens] float32, 0 where the target is −100.
at::Tensor linear_cross_entropy_losses(const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& targets);

/// Of how many of `tokens` the CPU makes the logits at a time.
int64_t tokens_per_chunk(int64_t tokens, int64_t vocab);

}  // namespace mformer::kernels
