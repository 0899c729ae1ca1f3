#include "kernels/cpu/row_steps.h"

#include <algorithm>
#include <cmath>

#include "kernels/cpu/activation_functions.h"
#include "kernels/cpu/clones.h"
#include "kernels/cpu/row_values.h"

namespace mformer::kernels::cpu {
namespace {

using c10::BFloat16;

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

template <typename F, typename T>
MFORMER_INLINE void apply(T* x, int64_t width) {
  for (int64_t i = 0; i < width; ++i) put(x, i, F::of(get(x, i)));
}

template <typename T>
MFORMER_INLINE void activate_any(Activation activation, T* x, int64_t width) {
  with_function(activation, [&](auto f) { apply<decltype(f)>(x, width); });
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

void largest_of_row(const float* p, int64_t width, int64_t k, int64_t* where, float* largest) {
  for (int64_t m = 0; m < width; ++m) {
    if (m >= k && !(p[m] > largest[k - 1])) continue;
    int64_t place = std::min(m, k - 1);
    for (; place > 0 && p[m] > largest[place - 1]; --place) {
      largest[place] = largest[place - 1];
      where[place] = where[place - 1];
    }
    largest[place] = p[m];
    where[place] = m;
  }
}

void to_unit_sum(float* x, int64_t width) {
  const float scale = 1.0F / sum_of(x, width, [](float v) { return v; });
  for (int64_t i = 0; i < width; ++i) x[i] *= scale;
}

void choose_row(float* p, int64_t width, int64_t k, ChoiceForm form, int64_t* chosen, float* gates) {
  if (form.top_k_first) {
    largest_of_row(p, width, k, chosen, gates);
    softmax_row(gates, k);
    softmax_row(p, width);
    return;
  }
  softmax_row(p, width);
  largest_of_row(p, width, k, chosen, gates);
  if (form.renormalise) to_unit_sum(gates, k);
}

MFORMER_CLONES void widen_row(const float* row, int64_t width, float* x) {
  for (int64_t i = 0; i < width; ++i) x[i] = row[i];
}
MFORMER_CLONES void widen_row(const BFloat16* row, int64_t width, float* x) {
  for (int64_t i = 0; i < width; ++i) x[i] = get(row, i);
}

}  // namespace mformer::kernels::cpu
