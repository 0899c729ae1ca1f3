#pragma once

#include <ATen/core/Tensor.h>

namespace mformer::kernels {

/// y = x · weightᵀ + bias.
/// x       [..., in], float32 or bfloat16; other floating dtypes go to LibTorch.
/// weight  [out, in], x's dtype, or float32 beside bfloat16 x (then rounded for the product; sums are float32, and so
///         is its gradient on the CPU, while on another device that was rounded to bfloat16).
/// bias    [out], weight's dtype, or undefined.
/// Returns [..., out] in x's dtype. Differentiable in all three; one that needs no gradient costs none.
/// Throws c10::Error naming the argument on any mismatch.
at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias = {});

}  // namespace mformer::kernels
