#include "kernels/cpu/adamw.h"

#include <cmath>

#include "kernels/cpu/clones.h"

namespace mformer::kernels::cpu {
namespace {

template <bool has_gradient, typename Weight>
[[gnu::always_inline]] inline void update(const AdamWChunk<Weight>& chunk, const AdamWFactors& factors) {
  using Real = at::opmath_type<Weight>;
  const auto scale = static_cast<Real>(factors.gradient_scale), keep = static_cast<Real>(chunk.kept),
             part1 = static_cast<Real>(1 - factors.beta1), beta2 = static_cast<Real>(factors.beta2),
             part2 = static_cast<Real>(1 - factors.beta2), rate = static_cast<Real>(factors.rate),
             root_scale = static_cast<Real>(factors.root_scale), epsilon = static_cast<Real>(factors.epsilon);
  Weight* __restrict weight = chunk.weight;
  const Weight* __restrict gradient = chunk.gradient;
  Real* __restrict exp_avg = chunk.exp_avg;
  Real* __restrict exp_avg_sq = chunk.exp_avg_sq;
  for (int64_t i = 0; i < chunk.count; ++i) {
    const Real g = has_gradient ? scale * static_cast<Real>(gradient[i]) : Real(0);
    const Real first = exp_avg[i] + part1 * (g - exp_avg[i]);
    const Real second = beta2 * exp_avg_sq[i] + part2 * g * g;
    exp_avg[i] = first;
    exp_avg_sq[i] = second;
    const Real change = rate * first / (std::sqrt(second) * root_scale + epsilon);
    weight[i] = static_cast<Weight>(keep * static_cast<Real>(weight[i]) - change);
  }
}

template <typename Weight>
[[gnu::always_inline]] inline void update_chunk(const AdamWChunk<Weight>& chunk, const AdamWFactors& factors) {
  if (chunk.gradient != nullptr) {
    update<true>(chunk, factors);
  } else {
    update<false>(chunk, factors);
  }
}

template <typename Value>
[[gnu::always_inline]] inline double squares(const Value* values, int64_t count) {
  constexpr int64_t lanes = 16;  // partial sums: fixed, so that the width of the vectors does not show
  double sums[lanes] = {};
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    for (int64_t lane = 0; lane < lanes; ++lane) {
      const auto value = static_cast<double>(values[i + lane]);
      sums[lane] += value * value;
    }
  }
  double sum = 0;
  for (const double part : sums) sum += part;
  for (; i < count; ++i) sum += static_cast<double>(values[i]) * static_cast<double>(values[i]);
  return sum;
}

}  // namespace

MFORMER_CLONES void adamw_update(const AdamWChunk<float>& chunk, const AdamWFactors& factors) {
  update_chunk(chunk, factors);
}
MFORMER_CLONES void adamw_update(const AdamWChunk<at::BFloat16>& chunk, const AdamWFactors& factors) {
  update_chunk(chunk, factors);
}
void adamw_update(const AdamWChunk<double>& chunk, const AdamWFactors& factors) {
  update_chunk(chunk, factors);
}
void adamw_update(const AdamWChunk<at::Half>& chunk, const AdamWFactors& factors) {
  update_chunk(chunk, factors);
}

MFORMER_CLONES double sum_of_squares(const float* values, int64_t count) {
  return squares(values, count);
}
MFORMER_CLONES double sum_of_squares(const at::BFloat16* values, int64_t count) {
  return squares(values, count);
}
double sum_of_squares(const double* values, int64_t count) {
  return squares(values, count);
}
double sum_of_squares(const at::Half* values, int64_t count) {
  return squares(values, count);
}

}  // namespace mformer::kernels::cpu
