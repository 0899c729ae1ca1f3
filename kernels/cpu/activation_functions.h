#pragma once

#include <algorithm>
#include <cmath>

#include "kernels/activation.h"
#include "kernels/cpu/row_values.h"

// The activations of kernels/activation.h and their slopes: of(x) = f(x), slope(x) = f'(x), branch-free.
namespace mformer::kernels::cpu {

/// σ(x), and σ(−x), each to full relative accuracy.
struct Sigmoids {
  float here, opposite;
};
MFORMER_INLINE Sigmoids sigmoids(float x) {
  const float e = exp_of_negative(-std::abs(x));
  const float large = 1.0F / (1.0F + e), small = e / (1.0F + e);
  return {x < 0 ? small : large, x < 0 ? large : small};
}
MFORMER_INLINE float sigmoid(float x) {
  const float e = exp_of_negative(-std::abs(x));
  return (x < 0 ? e : 1.0F) / (1.0F + e);
}

/// Beyond this the slopes of all activations are constant in float32, while their parts may overflow.
MFORMER_INLINE float bounded(float x) {
  return std::min(std::max(x, -60.0F), 60.0F);
}

struct GeluTanh {
  // 1 + tanh(u) = 2 · sigmoid(2u), u = √(2/π) · (x + 0.044715 x³)
  MFORMER_INLINE static float of(float x) { return x * sigmoid(1.5957691216057308F * (x + 0.044715F * x * x * x)); }
  MFORMER_INLINE static float slope(float x) {
    const float v = bounded(x), square = v * v;
    const Sigmoids s = sigmoids(1.5957691216057308F * (v + 0.044715F * v * square));
    return s.here + v * s.here * s.opposite * 1.5957691216057308F * (1.0F + 0.134145F * square);
  }
};

/// erf by Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26: off by 1.5e-7 at most.
struct Gelu {
  MFORMER_INLINE static float normal(float x) {
    const float u = std::abs(x) * 0.70710678118654752F;
    const float t = 1.0F / (1.0F + 0.3275911F * u);
    float p = 1.061405429F;
    p = p * t - 1.453152027F;
    p = p * t + 1.421413741F;
    p = p * t - 0.284496736F;
    p = p * t + 0.254829592F;
    const float complement = p * t * exp_of_negative(-u * u);  // erfc(u)
    return x < 0 ? 0.5F * complement : 1.0F - 0.5F * complement;
  }
  MFORMER_INLINE static float of(float x) { return x * normal(x); }
  MFORMER_INLINE static float slope(float x) {
    const float v = bounded(x);
    return normal(v) + v * 0.39894228040143268F * exp_of_negative(-0.5F * v * v);
  }
};

struct Relu {
  MFORMER_INLINE static float of(float x) { return x > 0 ? x : 0.0F; }
  MFORMER_INLINE static float slope(float x) { return x > 0 ? 1.0F : 0.0F; }
};

struct Silu {
  MFORMER_INLINE static float of(float x) { return x * sigmoid(x); }
  MFORMER_INLINE static float slope(float x) {
    const Sigmoids s = sigmoids(x);
    return s.here + bounded(x) * s.here * s.opposite;
  }
};

struct Tanh {
  MFORMER_INLINE static float of(float x) { return std::tanh(x); }
  MFORMER_INLINE static float slope(float x) {
    const float y = std::tanh(x);
    return 1.0F - y * y;
  }
};

/// use(the activation's functions).
template <typename Use>
MFORMER_INLINE void with_function(Activation activation, const Use& use) {
  switch (activation) {
    case Activation::gelu_tanh:
      return use(GeluTanh{});
    case Activation::gelu:
      return use(Gelu{});
    case Activation::relu:
      return use(Relu{});
    case Activation::silu:
      return use(Silu{});
    case Activation::tanh:
      return use(Tanh{});
  }
}

}  // namespace mformer::kernels::cpu
