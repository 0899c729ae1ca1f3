#pragma once

#include <ATen/core/Tensor.h>

namespace mformer::kernels {

/// y = weight · x / √(mean of x² over the last dimension + epsilon): LayerNorm without centring and bias (Zhang and
/// Sennrich, arXiv 1910.07467, section 3).
///
/// x         [..., width], float32, float64, bfloat16 or float16; width ≥ 1.
/// weight    [width], any floating dtype.
/// epsilon   ≥ 0, finite.
///
/// Returns x's sizes in x's dtype. Statistics and products are float32 (float64 for float64) and rounded once, at the
/// end. Differentiable in x and weight; the gradients have their dtypes. The same input gives the same bits, whatever
/// the number of threads. Both tensors on one device. Throws c10::Error naming the argument on any mismatch.
/// Inference has a form of its own, rms_norm of kernels/row_steps.h.
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon);

}  // namespace mformer::kernels
