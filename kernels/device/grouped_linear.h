#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "kernels/frozen_panels.h"
#include "kernels/module_offsets.h"

namespace mformer::kernels::device {

// kernels/grouped_linear.h in LibTorch operations, arguments already checked. Not differentiable.

/// What at::_grouped_mm asks for: bfloat16, rows of whole 16 bytes (8 numbers) in both directions of a module's weight
/// [in, out], and an x that begins at 16 bytes, as the stack of the weights must. It fails on others.
bool fits_grouped_product(const at::Tensor& x, const at::Tensor& weight);
bool begins_at_sixteen_bytes(const at::Tensor& x);

/// y [rows, columns] = x · W of each row's module, or x · Wᵀ if `transposed`; x may be the rows of every module. Where
/// x and the weights fit by at::_grouped_mm, one product for a run of neighbouring modules, whose weights it needs as
/// one tensor: frozen ones stay so in `frozen` (which may be null), others are copied. Else by a product a module.
/// Where all modules are frozen or all train, the one product reads offsets on the device, and the host waits for
/// nothing; else their copy on the host says where the runs begin.
at::Tensor grouped_product(const at::Tensor& x, const ModuleOffsets& offset, at::TensorList weights, bool transposed,
                           const c10::intrusive_ptr<FrozenPanels>& frozen);

/// Σ over modules, each of which owns as many rows: y [rows / modules, columns], summed in float32 (float64 for
/// float64) from products in x's dtype.
at::Tensor grouped_product_sum(const at::Tensor& x, const std::vector<std::int64_t>& offset, at::TensorList weights,
                               bool transposed);

/// The same by a product a module.
at::Tensor products_one_by_one(const at::Tensor& x, const std::vector<std::int64_t>& offset, at::TensorList weights,
                               bool transposed);

/// The same from weights that are one tensor [modules, in, out] of x's dtype, by at::_grouped_mm. `ends` [modules],
/// int32: the row behind each module's last.
at::Tensor stacked_product(const at::Tensor& x, const at::Tensor& ends, const at::Tensor& stack, bool transposed);

/// dW = xᵀ · grad of each module that trains, in its weight's dtype; the others are undefined, and those without rows
/// undefined or zeros. Either of x and grad may be the rows of every module. Where at::_grouped_mm applies (and all
/// modules train, without the host's waiting) it is stacked_gradients; else a product a module, in float32.
std::vector<at::Tensor> grouped_weight_gradients(const at::Tensor& x, const at::Tensor& grad,
                                                 const ModuleOffsets& offset, at::TensorList weights);

/// xᵀ · grad of each module's rows, [modules, in, out], by at::_grouped_mm: summed in float32, then rounded to
/// bfloat16, which is what x and grad are rounded to already.
at::Tensor stacked_gradients(const at::Tensor& x, const at::Tensor& grad, const at::Tensor& ends);

}  // namespace mformer::kernels::device
