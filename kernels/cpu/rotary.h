#pragma once

#include <c10/util/BFloat16.h>

#include <cstdint>

// The loop behind kernels/rotary.h.
namespace mformer::kernels::cpu {

/// Turns the heads [heads, 2 · half] of one token by its angles [half], or back where `inverse`: a transposed rotation,
/// which is its gradient.
void rotate_heads(const float* x, int64_t heads, int64_t half, const float* cos, const float* sin, bool inverse,
                  float* y);
void rotate_heads(const c10::BFloat16* x, int64_t heads, int64_t half, const float* cos, const float* sin, bool inverse,
                  c10::BFloat16* y);

}  // namespace mformer::kernels::cpu
