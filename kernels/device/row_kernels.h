#pragma once

#include <ATen/core/Tensor.h>

#include <utility>

#include "kernels/activation.h"

// kernels/{rms_norm,rotary,gated_activation}.h in LibTorch operations, for every device and dtype, arguments already
// checked. Computed in float32 (float64 for float64), rounded once. Not differentiable.

namespace mformer::kernels::device::composite {

/// x [rows, width], weight [width] in the dtype of sums. Returns y, and [rows] 1 / √(mean of x² + epsilon).
std::pair<at::Tensor, at::Tensor> rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon);
/// The gradients of x and of weight, the latter in the dtype of sums; `scale` is what rms_norm returned second.
std::pair<at::Tensor, at::Tensor> rms_norm_backward(const at::Tensor& grad, const at::Tensor& x,
                                                    const at::Tensor& weight, const at::Tensor& scale);

/// x [batch, tokens, heads, size] by the angles [tokens, size / 2], float32; back where `inverse`.
at::Tensor rotate(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin, bool inverse);

/// x [rows, 2 · hidden]
at::Tensor gated_activation(const at::Tensor& x, Activation activation);
at::Tensor gated_activation_backward(const at::Tensor& grad, const at::Tensor& x, Activation activation);

}  // namespace mformer::kernels::device::composite
