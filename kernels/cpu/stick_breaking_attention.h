#pragma once

#include <ATen/core/Tensor.h>

#include <tuple>

namespace mformer::kernels::cpu {

/// The computation behind kernels/stick_breaking_attention.h, arguments already checked: one floating dtype,
/// `key_mask` contiguous or an undefined tensor. Not differentiable.
at::Tensor stick_breaking_forward(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                                  const at::Tensor& key_mask);

/// Gradients (query, key, value) for the gradient of the output; everything else is computed anew.
std::tuple<at::Tensor, at::Tensor, at::Tensor> stick_breaking_backward(const at::Tensor& grad_output,
                                                                       const at::Tensor& query, const at::Tensor& key,
                                                                       const at::Tensor& value,
                                                                       const at::Tensor& key_mask);

}  // namespace mformer::kernels::cpu
