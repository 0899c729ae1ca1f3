#pragma once

#include <c10/util/BFloat16.h>

#include <cstdint>

#include "kernels/activation.h"

// The loops behind kernels/gated_activation.h, one row at a time.
namespace mformer::kernels::cpu {

/// y = activation(gate) · up, [hidden] each.
void gated_row(Activation activation, const float* gate, const float* up, int64_t hidden, float* y);
void gated_row(Activation activation, const c10::BFloat16* gate, const c10::BFloat16* up, int64_t hidden,
               c10::BFloat16* y);

/// The gradients of gate and up for that of y.
void gated_row_backward(Activation activation, const float* grad, const float* gate, const float* up, int64_t hidden,
                        float* grad_gate, float* grad_up);
void gated_row_backward(Activation activation, const c10::BFloat16* grad, const c10::BFloat16* gate,
                        const c10::BFloat16* up, int64_t hidden, c10::BFloat16* grad_gate, c10::BFloat16* grad_up);

}  // namespace mformer::kernels::cpu
