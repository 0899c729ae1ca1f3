#pragma once

#include <c10/util/BFloat16.h>

#include <cstdint>

namespace mformer::kernels::cpu {

/// exp(x[i] − max x) in place of x; returns log Σ exp x, and `scale` = 1 / Σ exp(x − max x).
float exponentials(float* x, int64_t count, float& scale);

/// to[i] = factor · x[i], rounded to bfloat16 where `to` is. x and to may be the same.
void scaled(const float* x, int64_t count, float factor, float* to);
void scaled(const float* x, int64_t count, float factor, c10::BFloat16* to);

}  // namespace mformer::kernels::cpu
