#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <utility>

#include "kernels/module_dispatch.h"

namespace mformer::kernels::device::composite {

// kernels/module_dispatch.h in LibTorch operations, arguments already checked; the functions of kernels/cpu/
// module_dispatch.h, with the same order of sums, in float32 (float64 for float64). Not differentiable.

/// The plan; it stays where `chosen` is.
ModuleDispatch plan_dispatch(const at::Tensor& chosen, std::int64_t modules);

/// Offsets [modules + 1] where they are; for tests also on the CPU.
ModuleOffsets offsets_of(const at::Tensor& offset, std::int64_t rows);

/// rows[r] = x[slot_of_row[r] / k]. x [tokens, width]. Returns [tokens · k, width].
at::Tensor gather_tokens(const at::Tensor& x, const at::Tensor& slot_of_row, std::int64_t k);

/// y[t] = Σ_c gate · rows[row_of_slot[t · k + c]], gate 1 where `gates` is undefined. gates [tokens, k].
at::Tensor sum_slots(const at::Tensor& rows, const at::Tensor& row_of_slot, std::int64_t k, const at::Tensor& gates);

/// Gradients of sum_slots with gates, for grad [tokens, width]: (of rows, of gates).
std::pair<at::Tensor, at::Tensor> sum_slots_backward(const at::Tensor& grad, const at::Tensor& rows,
                                                     const at::Tensor& row_of_slot, std::int64_t k,
                                                     const at::Tensor& gates);

}  // namespace mformer::kernels::device::composite
