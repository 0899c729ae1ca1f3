#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <utility>

#include "kernels/activation.h"
#include "kernels/module_dispatch.h"
#include "kernels/softmax_top_k.h"

namespace mformer::kernels {

// What inference does to rows between its matrix products: each step one pass and, where there are many rows, one
// parallel region. No gradients. Tensors are contiguous and on the CPU; c10::Error names the argument that does not
// fit.

/// x [..., width], float32 or bfloat16, in place.
void activate(Activation activation, at::Tensor& x);

/// activation(gate) · up, as gated_activation: x [..., 2 · hidden], float32 or bfloat16, the gate's columns first.
/// Returns [..., hidden] in x's dtype.
at::Tensor gated_activate(Activation activation, const at::Tensor& x);

/// LayerNorm with ε = 1e-5 of x [..., width], float32; weight and bias [width], float32, bias may be undefined. Returns
/// x's sizes as `dtype`, float32 or bfloat16.
at::Tensor layer_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, at::ScalarType dtype);

/// weight · x / √(mean of x² + epsilon) of x [..., width], float32; weight [width], float32. Returns x's sizes as
/// `dtype`, float32 or bfloat16.
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon, at::ScalarType dtype);

/// Each row of x [rows, width], float32, divided by its Euclidean length, in place; rows shorter than 1e-12 by that.
void normalize_rows(at::Tensor& x);

/// What a router chooses.
struct Choice {
  at::Tensor modules;  ///< [tokens, k], int64, by descending gate, the first of equals first
  at::Tensor gates;    ///< [tokens, k], float32: their probabilities, or what the form makes of them
};

/// The k largest of the softmax of each row of logits [tokens, modules], float32, which is left holding the softmax.
Choice choose(at::Tensor& logits, int64_t k, ChoiceForm form = {});

/// x[t] += factor · Σ_choice gates[t, choice] · rows[row of (t, choice)], in the order of the choices. x [tokens,
/// width], float32; rows [tokens · k, width], float32 or bfloat16; gates [tokens, k], float32.
void add_combined(const at::Tensor& rows, const at::Tensor& gates, const ModuleDispatch& dispatch, at::Tensor& x,
                  double factor = 1);

/// Rows `ids` [tokens], int64, in range, of table [size, width], float32 or bfloat16, or its blocks
/// (kernels/quantised_blocks.h). Returns [tokens, width], float32.
at::Tensor embedding(const at::Tensor& table, int64_t width, const at::Tensor& ids);

}  // namespace mformer::kernels
