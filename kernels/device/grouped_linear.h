#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "kernels/frozen_panels.h"

namespace mformer::kernels::device {

// kernels/grouped_linear.h in LibTorch operations, arguments already checked. Not differentiable.

/// What at::_grouped_mm asks for: bfloat16, and rows of whole 16 bytes (8 numbers) in both directions of a module's
/// weight [in, out]. It fails on others.
bool fits_grouped_product(const at::Tensor& x, const at::Tensor& weight);

/// y [rows, columns] = x · W of each row's module, or x · Wᵀ if `transposed`; x may be the rows of every module. Where
/// x and the weights fit by at::_grouped_mm, one product for a run of neighbouring modules, whose weights it needs as
/// one tensor: frozen ones stay so in `frozen` (which may be null), others are copied. Else by a product a module.
at::Tensor grouped_product(const at::Tensor& x, const std::vector<std::int64_t>& offset, at::TensorList weights,
                           bool transposed, const c10::intrusive_ptr<FrozenPanels>& frozen);

/// Σ over modules, each of which owns as many rows: y [rows / modules, columns], summed in float32 (float64 for
/// float64) from products in x's dtype.
at::Tensor grouped_product_sum(const at::Tensor& x, const std::vector<std::int64_t>& offset, at::TensorList weights,
                               bool transposed);

/// The same by a product a module.
at::Tensor products_one_by_one(const at::Tensor& x, const std::vector<std::int64_t>& offset, at::TensorList weights,
                               bool transposed);

/// The same from weights that are one tensor [modules, in, out] of x's dtype, by at::_grouped_mm.
at::Tensor stacked_product(const at::Tensor& x, const std::vector<std::int64_t>& offset, const at::Tensor& stack,
                           bool transposed);

/// dW = xᵀ · grad of each module that trains, in its weight's dtype; the others, and those without rows, are undefined.
/// Either of x and grad may be the rows of every module.
std::vector<at::Tensor> grouped_weight_gradients(const at::Tensor& x, const at::Tensor& grad,
                                                 const std::vector<std::int64_t>& offset, at::TensorList weights);

}  // namespace mformer::kernels::device
