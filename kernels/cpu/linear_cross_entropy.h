#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace mformer::kernels::cpu {

/// Losses [tokens] of kernels/linear_cross_entropy.h, arguments already checked and contiguous. Where defined, dh
/// [tokens, in] (hidden's dtype) and dw [vocab, in] (float32) receive the gradients of their sum over `divisor`.
at::Tensor linear_cross_entropy(const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& targets,
                                int64_t divisor, at::Tensor& dh, at::Tensor& dw);

}  // namespace mformer::kernels::cpu
