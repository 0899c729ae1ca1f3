#include "kernels/cpu/row_steps.h"

#include <algorithm>
#include <cmath>

#include "kernels/cpu/clones.h"
#include "kernels/cpu/vector_math.h"

namespace mformer::kernels::cpu {
namespace {

using c10::BFloat16;

#define MFORMER_INLINE [[gnu::always_inline]] inline

/// Partial sums, so that a sum has the same order for every width of vectors.
constexpr int64_t kLanes = 32;

MFORMER_INLINE float get(const float* x, int64_t i) {
  return x[i];
}
MFORMER_INLINE float get(const BFloat16* x, int64_t i) {
  const uint32_t bits = static_cast<uint32_t>(reinterpret_cast<const uint16_t*>(x)[i]) << 16U;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}
MFORMER_INLINE void put(float* x, int64_t i, float value) {
  x[i] = value;
}
MFORMER_INLINE void put(BFloat16* x, int64_t i, float value) {
  reinterpret_cast<uint16_t*>(x)[i] = rounded_to_bfloat16(value);
}

/// Σ f(x[i]).
template <typename F>
MFORMER_INLINE float sum_of(const float* x, int64_t width, const F& f) {
  float lane[kLanes] = {};
  const int64_t whole = width / kLanes * kLanes;
  for (int64_t i = 0; i < whole; i += kLanes) {
    for (int64_t l = 0; l < kLanes; ++l) lane[l] += f(x[i + l]);
  }
  float sum = 0;
  for (int64_t i = whole; i < width; ++i) sum += f(x[i]);
  for (const float part : lane) sum += part;
  return sum;
}

template <typename T>
MFORMER_INLINE void norm_row(const float* x, int64_t width, const float* weight, const float* bias, T* y) {
  constexpr float kEpsilon = 1e-5F;
  const auto count = static_cast<float>(width);
  const float mean = sum_of(x, width, [](float v) { return v; }) / count;
  const float variance = sum_of(x, width, [mean](float v) { return (v - mean) * (v - mean); }) / count;
  const float scale = 1.0F / std::sqrt(variance + kEpsilon);
  if (bias == nullptr) {
    for (int64_t i = 0; i < width; ++i) put(y, i, (x[i] - mean) * scale * weight[i]);
  } else {
    for (int64_t i = 0; i < width; ++i) put(y, i, (x[i] - mean) * scale * weight[i] + bias[i]);
  }
}

MFORMER_INLINE float sigmoid(float x) {
  const float e = exp_of_negative(-std::abs(x));
  return (x < 0 ? e : 1.0F) / (1.0F + e);
}

struct GeluTanh {
  MFORMER_INLINE static float of(float x) {
    // 1 + tanh(u) = 2 · sigmoid(2u)
    return x * sigmoid(1.5957691216057308F * (x + 0.044715F * x * x * x));
  }
};

/// erf by Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26: off by 1.5e-7 at most.
struct Gelu {
  MFORMER_INLINE static float of(float x) {
    const float u = std::abs(x) * 0.70710678118654752F;
    const float t = 1.0F / (1.0F + 0.3275911F * u);
    float p = 1.061405429F;
    p = p * t - 1.453152027F;
    p = p * t + 1.421413741F;
    p = p * t - 0.284496736F;
    p = p * t + 0.254829592F;
    const float complement = p * t * exp_of_negative(-u * u);  // erfc(u)
    return x * (x < 0 ? 0.5F * complement : 1.0F - 0.5F * complement);
  }
};

struct Relu {
  MFORMER_INLINE static float of(float x) { return x > 0 ? x : 0.0F; }
};

struct Silu {
  MFORMER_INLINE static float of(float x) { return x * sigmoid(x); }
};

struct Tanh {
  MFORMER_INLINE static float of(float x) { return std::tanh(x); }
};

template <typename F, typename T>
MFORMER_INLINE void apply(T* x, int64_t width) {
  for (int64_t i = 0; i < width; ++i) put(x, i, F::of(get(x, i)));
}

template <typename T>
MFORMER_INLINE void activate_any(Activation activation, T* x, int64_t width) {
  switch (activation) {
    case Activation::gelu_tanh:
      return apply<GeluTanh>(x, width);
    case Activation::gelu:
      return apply<Gelu>(x, width);
    case Activation::relu:
      return apply<Relu>(x, width);
    case Activation::silu:
      return apply<Silu>(x, width);
    case Activation::tanh:
      return apply<Tanh>(x, width);
  }
}

}  // namespace

MFORMER_CLONES void layer_norm_row(const float* x, int64_t width, const float* weight, const float* bias, float* y) {
  norm_row(x, width, weight, bias, y);
}
MFORMER_CLONES void layer_norm_row(const float* x, int64_t width, const float* weight, const float* bias, BFloat16* y) {
  norm_row(x, width, weight, bias, y);
}

MFORMER_CLONES void activate_row(Activation activation, float* x, int64_t width) {
  activate_any(activation, x, width);
}
MFORMER_CLONES void activate_row(Activation activation, BFloat16* x, int64_t width) {
  activate_any(activation, x, width);
}

MFORMER_CLONES void add_scaled_row(const float* row, float gate, int64_t width, float* x) {
  for (int64_t i = 0; i < width; ++i) x[i] += gate * row[i];
}
MFORMER_CLONES void add_scaled_row(const BFloat16* row, float gate, int64_t width, float* x) {
  for (int64_t i = 0; i < width; ++i) x[i] += gate * get(row, i);
}

MFORMER_CLONES void to_unit_length(float* x, int64_t width) {
  const float length = std::sqrt(sum_of(x, width, [](float v) { return v * v; }));
  const float scale = 1.0F / std::max(length, 1e-12F);
  for (int64_t i = 0; i < width; ++i) x[i] *= scale;
}

MFORMER_CLONES void softmax_row(float* x, int64_t width) {
  float most = x[0];
  for (int64_t i = 1; i < width; ++i) most = std::max(most, x[i]);
  for (int64_t i = 0; i < width; ++i) x[i] = exp_of_negative(x[i] - most);
  const float scale = 1.0F / sum_of(x, width, [](float v) { return v; });
  for (int64_t i = 0; i < width; ++i) x[i] *= scale;
}

MFORMER_CLONES void widen_row(const float* row, int64_t width, float* x) {
  for (int64_t i = 0; i < width; ++i) x[i] = row[i];
}
MFORMER_CLONES void widen_row(const BFloat16* row, int64_t width, float* x) {
  for (int64_t i = 0; i < width; ++i) x[i] = get(row, i);
}

}  // namespace mformer::kernels::cpu
