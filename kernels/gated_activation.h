#pragma once

#include <ATen/core/Tensor.h>

#include "kernels/activation.h"

namespace mformer::kernels {

/// y = activation(gate) · up: what comes between the maps of a gated feed-forward module (Shazeer, arXiv 2002.05202),
/// whose first map gives gate and up side by side.
///
/// x   [rows, 2 · hidden], the gate's columns first, then up's; float32, float64, bfloat16 or float16.
///
/// Returns [rows, hidden] in x's dtype; computed in float32 (float64 for float64), rounded once. Differentiable.
/// Throws c10::Error naming the argument on any mismatch. Inference has a form of its own, gated_activate of
/// kernels/row_steps.h.
at::Tensor gated_activation(const at::Tensor& x, Activation activation);

}  // namespace mformer::kernels
