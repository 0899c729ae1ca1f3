#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <tuple>

namespace mformer::kernels {

/// How a router's gates come about. Every form chooses the same modules.
struct ChoiceForm {
  /// The gates are the softmax over the k largest logits alone, instead of their part in the softmax over all.
  bool top_k_first = false;
  /// The gates are divided by their sum: in exact arithmetic the same as top_k_first, beside which it changes nothing.
  bool renormalise = false;

  /// Whether the gates of a token sum to 1; either way they are then the softmax of its k largest logits.
  constexpr bool sums_to_one() const { return top_k_first || renormalise; }
};

/// What a router does with its logits [tokens, modules]: p = softmax(logits), and the k largest of each row.
/// logits: float32 or float64, 1 ≤ k ≤ modules. Returns (p [tokens, modules], gates [tokens, k], modules [tokens, k]
/// int64), by descending gate, the first of equals first. p and gates are differentiable, in one pass over the row.
/// Throws c10::Error naming the argument on any mismatch.
std::tuple<at::Tensor, at::Tensor, at::Tensor> softmax_top_k(const at::Tensor& logits, int64_t k, ChoiceForm form = {});

}  // namespace mformer::kernels
