#pragma once

#include <ATen/core/Tensor.h>

#include <tuple>

namespace mformer::kernels::cpu {

// The computation behind kernels/softmax_attention.h, arguments already checked: one floating dtype, `key_mask`
// contiguous or an undefined tensor. Not differentiable.

/// The output, for inference.
at::Tensor softmax_attention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                             const at::Tensor& key_mask, double scale, int64_t window);

/// The output, and what the backward pass needs beside it: [batch, heads, tokens · k], float32 or float64.
std::pair<at::Tensor, at::Tensor> softmax_attention_forward(const at::Tensor& query, const at::Tensor& key,
                                                            const at::Tensor& value, const at::Tensor& key_mask,
                                                            double scale, int64_t window);

/// Gradients (query, key, value) for the gradient of the output.
std::tuple<at::Tensor, at::Tensor, at::Tensor> softmax_attention_backward(
    const at::Tensor& grad_output, const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
    const at::Tensor& key_mask, const at::Tensor& output, const at::Tensor& unit, double scale, int64_t window);

}  // namespace mformer::kernels::cpu
