#pragma once

#include <ATen/OpMathType.h>

#include <cstdint>

namespace mformer::kernels::cpu {

/// Consecutive weights of one tensor.
template <typename Weight>
struct AdamWChunk {
  using Moment = at::opmath_type<Weight>;
  int64_t count;
  Weight* weight;
  const Weight* gradient;  ///< Null = zeros.
  Moment* exp_avg;
  Moment* exp_avg_sq;
  double kept;  ///< 1 − lr · decay
};

/// What is the same for all weights of a step.
struct AdamWFactors {
  double gradient_scale, beta1, beta2, epsilon;
  double rate;        ///< lr / (1 − β₁ᵗ)
  double root_scale;  ///< 1 / √(1 − β₂ᵗ)
};

void adamw_update(const AdamWChunk<float>& chunk, const AdamWFactors& factors);
void adamw_update(const AdamWChunk<double>& chunk, const AdamWFactors& factors);
void adamw_update(const AdamWChunk<at::BFloat16>& chunk, const AdamWFactors& factors);
void adamw_update(const AdamWChunk<at::Half>& chunk, const AdamWFactors& factors);

/// Σ values², in float64 and in an order that depends on `count` alone.
double sum_of_squares(const float* values, int64_t count);
double sum_of_squares(const double* values, int64_t count);
double sum_of_squares(const at::BFloat16* values, int64_t count);
double sum_of_squares(const at::Half* values, int64_t count);

}  // namespace mformer::kernels::cpu
