#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <tuple>

#include "kernels/softmax_top_k.h"

namespace mformer::kernels::device::composite {

// kernels/softmax_top_k.h in LibTorch operations, arguments already checked. Not differentiable.

/// (p, gates, modules).
std::tuple<at::Tensor, at::Tensor, at::Tensor> softmax_top_k(const at::Tensor& logits, std::int64_t k, ChoiceForm form);

/// Gradient of the logits, for those of p and of the gates, either of which may be undefined; `unit_gates` are the
/// gates where they sum to 1, else undefined.
at::Tensor softmax_top_k_backward(const at::Tensor& p, const at::Tensor& modules, const at::Tensor& unit_gates,
                                  const at::Tensor& grad_p, const at::Tensor& grad_gates);

}  // namespace mformer::kernels::device::composite
