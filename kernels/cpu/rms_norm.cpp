#include "kernels/cpu/rms_norm.h"

#include <cmath>

#include "kernels/cpu/clones.h"
#include "kernels/cpu/row_values.h"

namespace mformer::kernels::cpu {
namespace {

template <typename From, typename To>
MFORMER_INLINE float norm_any(const From* __restrict x, int64_t width, const float* __restrict weight, float epsilon,
                              To* __restrict y) {
  const float squares = sum_over(width, [x](int64_t i) { return get(x, i) * get(x, i); });
  const float scale = 1.0F / std::sqrt(squares / static_cast<float>(width) + epsilon);
  for (int64_t i = 0; i < width; ++i) put(y, i, get(x, i) * scale * weight[i]);
  return scale;
}

/// With g = weight · dy: dx = s · (g − x s² · mean of g x), dweight = dy · x s.
template <typename T>
MFORMER_INLINE void norm_backward_any(const T* __restrict grad, const T* __restrict x, float scale, int64_t width,
                                      const float* __restrict weight, T* __restrict grad_x,
                                      float* __restrict grad_weight) {
  const float sum = sum_over(width, [=](int64_t i) { return get(grad, i) * weight[i] * get(x, i); });
  const float share = sum / static_cast<float>(width) * scale * scale;
  for (int64_t i = 0; i < width; ++i) put(grad_x, i, scale * (get(grad, i) * weight[i] - get(x, i) * share));
  if (grad_weight == nullptr) return;
  for (int64_t i = 0; i < width; ++i) grad_weight[i] += get(grad, i) * get(x, i) * scale;
}

}  // namespace

MFORMER_CLONES float rms_norm_row(const float* x, int64_t width, const float* weight, float epsilon, float* y) {
  return norm_any(x, width, weight, epsilon, y);
}
MFORMER_CLONES float rms_norm_row(const float* x, int64_t width, const float* weight, float epsilon, c10::BFloat16* y) {
  return norm_any(x, width, weight, epsilon, y);
}
MFORMER_CLONES float rms_norm_row(const c10::BFloat16* x, int64_t width, const float* weight, float epsilon,
                                  c10::BFloat16* y) {
  return norm_any(x, width, weight, epsilon, y);
}

MFORMER_CLONES void rms_norm_row_backward(const float* grad, const float* x, float scale, int64_t width,
                                          const float* weight, float* grad_x, float* grad_weight) {
  norm_backward_any(grad, x, scale, width, weight, grad_x, grad_weight);
}
MFORMER_CLONES void rms_norm_row_backward(const c10::BFloat16* grad, const c10::BFloat16* x, float scale, int64_t width,
                                          const float* weight, c10::BFloat16* grad_x, float* grad_weight) {
  norm_backward_any(grad, x, scale, width, weight, grad_x, grad_weight);
}

}  // namespace mformer::kernels::cpu
