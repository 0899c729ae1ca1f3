#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <tuple>

#include "kernels/device/stick_breaking_attention.h"

namespace mformer::kernels::device::composite {

/// kernels/softmax_attention.h in LibTorch operations, which run on every device: some tokens at a time against all
/// their keys, so that memory is linear in `keys`. Arguments already checked; `key_mask` may be undefined. Products and
/// sums are float32 (float64 for float64), and nothing is rounded but the result. Not differentiable.
at::Tensor softmax_attention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                             const at::Tensor& key_mask, double scale, std::int64_t window,
                             std::int64_t scores_per_chunk = kScoresPerChunk);

/// Gradients (query, key, value) for the gradient of the output; weights are computed anew.
std::tuple<at::Tensor, at::Tensor, at::Tensor> softmax_attention_backward(
    const at::Tensor& grad_output, const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
    const at::Tensor& key_mask, double scale, std::int64_t window, std::int64_t scores_per_chunk = kScoresPerChunk);

}  // namespace mformer::kernels::device::composite
