#pragma once

#include <c10/util/BFloat16.h>

#include <cstdint>

// The loops behind kernels/rms_norm.h, one row at a time. Sums are float32, in an order that depends on the width only.
namespace mformer::kernels::cpu {

/// y = weight · x · s; returns s = 1 / √(mean of x² + epsilon).
float rms_norm_row(const float* x, int64_t width, const float* weight, float epsilon, float* y);
float rms_norm_row(const float* x, int64_t width, const float* weight, float epsilon, c10::BFloat16* y);
float rms_norm_row(const c10::BFloat16* x, int64_t width, const float* weight, float epsilon, c10::BFloat16* y);

/// The gradient of x for that of y, and adds that of the weight to grad_weight unless it is null.
void rms_norm_row_backward(const float* grad, const float* x, float scale, int64_t width, const float* weight,
                           float* grad_x, float* grad_weight);
void rms_norm_row_backward(const c10::BFloat16* grad, const c10::BFloat16* x, float scale, int64_t width,
                           const float* weight, c10::BFloat16* grad_x, float* grad_weight);

}  // namespace mformer::kernels::cpu
