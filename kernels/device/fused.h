#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <tuple>
#include <utility>
#include <vector>

#include "kernels/activation.h"
#include "kernels/adamw.h"
#include "kernels/module_dispatch.h"
#include "kernels/softmax_top_k.h"

// The kernels of kernels/cuda on tensors: on a CUDA device's current stream, or, for tensors of the CPU, the same
// programs in loops, which is for tests. Contracts are those of the composites of the same names (kernels/device/*.h).
// c10::Error where CUDA refuses a launch.

namespace mformer::kernels::device::fused {

/// Bytes of what the backward pass of attention keeps of each row and tile of keys: so many rows at a time that it
/// stays below this, or 64.
inline constexpr std::int64_t kStateBytes = 256 << 20;

/// float32 and bfloat16, heads of at most 256, not empty.
bool takes_attention(const at::Tensor& query);
at::Tensor stick_breaking_forward(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                                  const at::Tensor& key_mask);
std::tuple<at::Tensor, at::Tensor, at::Tensor> stick_breaking_backward(const at::Tensor& grad_output,
                                                                       const at::Tensor& query, const at::Tensor& key,
                                                                       const at::Tensor& value,
                                                                       const at::Tensor& key_mask,
                                                                       std::int64_t state_bytes = kStateBytes);

/// float32, at most 256 modules.
bool takes_router(const at::Tensor& logits);
std::tuple<at::Tensor, at::Tensor, at::Tensor> softmax_top_k(const at::Tensor& logits, std::int64_t k, ChoiceForm form);
at::Tensor softmax_top_k_backward(const at::Tensor& p, const at::Tensor& modules, const at::Tensor& unit_gates,
                                  const at::Tensor& grad_p, const at::Tensor& grad_gates);

/// float32 and bfloat16, not empty.
bool takes_rows(const at::Tensor& x);
std::pair<at::Tensor, at::Tensor> rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon);
std::pair<at::Tensor, at::Tensor> rms_norm_backward(const at::Tensor& grad, const at::Tensor& x,
                                                    const at::Tensor& weight, const at::Tensor& scale);
at::Tensor rotate(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin, bool inverse);
at::Tensor gated_activation(const at::Tensor& x, Activation activation);
at::Tensor gated_activation_backward(const at::Tensor& grad, const at::Tensor& x, Activation activation);

/// Weights of float32 and bfloat16. One pass over memory.
bool takes_adamw(const AdamWTensor& tensor);
void adamw_step(const std::vector<AdamWTensor>& tensors, const AdamWStep& step);

/// At most 256 modules.
bool takes_plan(std::int64_t modules);
ModuleDispatch plan_dispatch(const at::Tensor& chosen, std::int64_t modules);

at::Tensor gather_tokens(const at::Tensor& x, const at::Tensor& slot_of_row, std::int64_t k);

/// float32 and bfloat16.
bool takes_combine(const at::Tensor& rows);
at::Tensor sum_slots(const at::Tensor& rows, const at::Tensor& row_of_slot, std::int64_t k, const at::Tensor& gates);
std::pair<at::Tensor, at::Tensor> sum_slots_backward(const at::Tensor& grad, const at::Tensor& rows,
                                                     const at::Tensor& row_of_slot, std::int64_t k,
                                                     const at::Tensor& gates);

}  // namespace mformer::kernels::device::fused
