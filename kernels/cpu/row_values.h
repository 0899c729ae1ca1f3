#pragma once

#include <c10/util/BFloat16.h>

#include <cstdint>
#include <cstring>

#include "kernels/cpu/vector_math.h"

// For loops over rows of float32 or bfloat16 that GCC vectorises; arithmetic is float32.
namespace mformer::kernels::cpu {

#define MFORMER_INLINE [[gnu::always_inline]] inline

/// Partial sums, so that a sum has the same order for every width of vectors.
constexpr int64_t kLanes = 32;

MFORMER_INLINE float get(const float* x, int64_t i) {
  return x[i];
}
MFORMER_INLINE float get(const c10::BFloat16* x, int64_t i) {
  const uint32_t bits = static_cast<uint32_t>(reinterpret_cast<const uint16_t*>(x)[i]) << 16U;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}
MFORMER_INLINE void put(float* x, int64_t i, float value) {
  x[i] = value;
}
MFORMER_INLINE void put(c10::BFloat16* x, int64_t i, float value) {
  reinterpret_cast<uint16_t*>(x)[i] = rounded_to_bfloat16(value);
}

/// Σ f(i) for i < width.
template <typename F>
MFORMER_INLINE float sum_over(int64_t width, const F& f) {
  float lane[kLanes] = {};
  const int64_t whole = width / kLanes * kLanes;
  for (int64_t i = 0; i < whole; i += kLanes) {
    for (int64_t l = 0; l < kLanes; ++l) lane[l] += f(i + l);
  }
  float sum = 0;
  for (int64_t i = whole; i < width; ++i) sum += f(i);
  for (const float part : lane) sum += part;
  return sum;
}

/// Σ f(x[i]).
template <typename F>
MFORMER_INLINE float sum_of(const float* x, int64_t width, const F& f) {
  return sum_over(width, [&](int64_t i) { return f(x[i]); });
}

}  // namespace mformer::kernels::cpu
