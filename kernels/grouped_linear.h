#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "kernels/frozen_panels.h"
#include "kernels/module_offsets.h"
#include "kernels/recomputed.h"

namespace mformer::kernels {

/// y[row] = x[row] · weights[m], where m is the module that owns the row: one matrix product a module.
/// x        [rows, in], rows sorted by module. Or, where each module owns as many rows as x has (dispatch_to_all), the
///          rows that every module reads.
/// offset   which rows of y each module owns (ModuleDispatch::offset). Empty modules are fine. Those on a device are
///          read there where LibTorch multiplies groups (device/grouped_linear.h), else copied to the host once.
/// weights  one [in, out] tensor a module, x's dtype, or any other beside bfloat16 x (then rounded to bfloat16 for the
///          product, which is accumulated in float32). A weight that needs no gradient (a frozen module) costs none.
/// frozen   where weights that need no gradient are kept packed between calls (on another device than the CPU: as one
///          tensor, unless they lie side by side already, stacked_weights.h); null: each call packs anew.
/// again    how the gradients of the weights get x, where it should not be kept for them; nothing is kept where no
/// weight
///          needs a gradient.
/// Returns [rows, out] in x's dtype. Differentiable in x and the weights.
/// Throws c10::Error naming the argument on any mismatch; offsets on a device are not looked at.
at::Tensor grouped_linear(const at::Tensor& x, const ModuleOffsets& offset, const std::vector<at::Tensor>& weights,
                          const c10::intrusive_ptr<FrozenPanels>& frozen = {}, const Recomputed& again = {});

/// grouped_linear and the sum of each token's rows in one, where each module owns as many rows (dispatch_to_all):
/// y[t] = Σ over modules m of x[t-th row of m] · weights[m], in the order of the modules, rounded once on the CPU.
/// Returns [rows / modules, out]. Everything else as above.
at::Tensor grouped_linear_sum(const at::Tensor& x, const ModuleOffsets& offset, const std::vector<at::Tensor>& weights,
                              const c10::intrusive_ptr<FrozenPanels>& frozen = {}, const Recomputed& again = {});

}  // namespace mformer::kernels
