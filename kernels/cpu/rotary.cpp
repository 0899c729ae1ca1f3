#include "kernels/cpu/rotary.h"

#include "kernels/cpu/clones.h"
#include "kernels/cpu/row_values.h"

namespace mformer::kernels::cpu {
namespace {

template <typename T>
MFORMER_INLINE void rotate_any(const T* __restrict x, int64_t heads, int64_t half, const float* __restrict cos,
                               const float* __restrict sin, bool inverse, T* __restrict y) {
  const float sign = inverse ? -1.0F : 1.0F;
  for (int64_t h = 0; h < heads; ++h, x += 2 * half, y += 2 * half) {
    for (int64_t i = 0; i < half; ++i) {
      const float a = get(x, i), b = get(x, half + i), s = sign * sin[i];
      put(y, i, a * cos[i] - b * s);
      put(y, half + i, b * cos[i] + a * s);
    }
  }
}

}  // namespace

MFORMER_CLONES void rotate_heads(const float* x, int64_t heads, int64_t half, const float* cos, const float* sin,
                                 bool inverse, float* y) {
  rotate_any(x, heads, half, cos, sin, inverse, y);
}
MFORMER_CLONES void rotate_heads(const c10::BFloat16* x, int64_t heads, int64_t half, const float* cos,
                                 const float* sin, bool inverse, c10::BFloat16* y) {
  rotate_any(x, heads, half, cos, sin, inverse, y);
}

}  // namespace mformer::kernels::cpu
