#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace mformer::kernels::device {

/// kernels/linear_cross_entropy.h in LibTorch operations, some hundred tokens at a time. Returns the losses [tokens],
/// float32, 0 where a target is −100. Where dh [tokens, in] and dw [vocab, in], float32, are defined, they are filled
/// with the gradients of their sum over `divisor`.
at::Tensor linear_cross_entropy(const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& targets,
                                std::int64_t divisor, at::Tensor& dh, at::Tensor& dw);

}  // namespace mformer::kernels::device
