#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace mformer::kernels::cpu {

// The loops behind kernels/module_dispatch.h, arguments already checked; each token is one thread's, and the k choices
// are added in their order, in float32 (float64 for float64), so the same input gives the same bits.

/// rows[r] = x[slot_of_row[r] / k]. x [tokens, width] contiguous. Returns [tokens · k, width].
at::Tensor gather_tokens(const at::Tensor& x, const at::Tensor& slot_of_row, std::int64_t k);

/// y[t] = Σ_c gate · rows[row_of_slot[t · k + c]], gate 1 where `gates` is undefined. gates [tokens, k], rows' dtype.
at::Tensor sum_slots(const at::Tensor& rows, const at::Tensor& row_of_slot, std::int64_t k, const at::Tensor& gates);

/// Gradients of sum_slots with gates, for grad [tokens, width]: (of rows, of gates).
std::pair<at::Tensor, at::Tensor> sum_slots_backward(const at::Tensor& grad, const at::Tensor& rows,
                                                     const at::Tensor& row_of_slot, std::int64_t k,
                                                     const at::Tensor& gates);

}  // namespace mformer::kernels::cpu
