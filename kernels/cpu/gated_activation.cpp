#include "kernels/cpu/gated_activation.h"

#include "kernels/cpu/activation_functions.h"
#include "kernels/cpu/clones.h"

namespace mformer::kernels::cpu {
namespace {

template <typename T>
MFORMER_INLINE void gate_any(Activation activation, const T* __restrict gate, const T* __restrict up, int64_t hidden,
                             T* __restrict y) {
  with_function(activation, [&](auto f) {
    for (int64_t i = 0; i < hidden; ++i) put(y, i, decltype(f)::of(get(gate, i)) * get(up, i));
  });
}

template <typename T>
MFORMER_INLINE void gate_backward_any(Activation activation, const T* __restrict grad, const T* __restrict gate,
                                      const T* __restrict up, int64_t hidden, T* __restrict grad_gate,
                                      T* __restrict grad_up) {
  with_function(activation, [&](auto f) {
    using F = decltype(f);
    for (int64_t i = 0; i < hidden; ++i) {
      const float dy = get(grad, i), x = get(gate, i);
      put(grad_gate, i, dy * get(up, i) * F::slope(x));
      put(grad_up, i, dy * F::of(x));
    }
  });
}

}  // namespace

MFORMER_CLONES void gated_row(Activation activation, const float* gate, const float* up, int64_t hidden, float* y) {
  gate_any(activation, gate, up, hidden, y);
}
MFORMER_CLONES void gated_row(Activation activation, const c10::BFloat16* gate, const c10::BFloat16* up, int64_t hidden,
                              c10::BFloat16* y) {
  gate_any(activation, gate, up, hidden, y);
}

MFORMER_CLONES void gated_row_backward(Activation activation, const float* grad, const float* gate, const float* up,
                                       int64_t hidden, float* grad_gate, float* grad_up) {
  gate_backward_any(activation, grad, gate, up, hidden, grad_gate, grad_up);
}
MFORMER_CLONES void gated_row_backward(Activation activation, const c10::BFloat16* grad, const c10::BFloat16* gate,
                                       const c10::BFloat16* up, int64_t hidden, c10::BFloat16* grad_gate,
                                       c10::BFloat16* grad_up) {
  gate_backward_any(activation, grad, gate, up, hidden, grad_gate, grad_up);
}

}  // namespace mformer::kernels::cpu
