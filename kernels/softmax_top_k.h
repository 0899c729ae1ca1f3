#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <tuple>

namespace mformer::kernels {

/// What a router does with its logits [tokens, modules]: p = softmax(logits), and the k largest of each row.
/// logits: float32 or float64, 1 ≤ k ≤ modules. Returns (p [tokens, modules], gates [tokens, k], modules [tokens, k]
/// int64), by descending gate, the first of equals first. p and gates are differentiable, in one pass over the row.
/// Throws c10::Error naming the argument on any mismatch.
std::tuple<at::Tensor, at::Tensor, at::Tensor> softmax_top_k(const at::Tensor& logits, int64_t k);

}  // namespace mformer::kernels
