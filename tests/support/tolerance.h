#pragma once

#include <ATen/core/Tensor.h>

#include <limits>

namespace mformer::testing {

/// float32 against vectors that the reference computed in float64: rounding of sums over some hundred terms. Norm of
/// the difference over the norm, the measure of tests/data/golden/README.md.
inline constexpr double kFloat32 = 1e-5;
/// The same for the gradient of a single number (a router's temperature): a sum of terms of both signs some thirty
/// times larger than itself, so its relative error is as much larger.
inline constexpr double kFloat32Scalar = 3e-5;
/// float64 against float64 vectors that were stored as float32.
inline constexpr double kRecording = 1e-6;
/// Ten AdamW steps amplify rounding: the first steps divide by sqrt(v) of gradients that are nearly zero.
inline constexpr double kFloat32AfterTraining = 1e-4;
/// float64 against an independent float64 computation.
inline constexpr double kFloat64 = 1e-12;
/// Finite differences in float64 with a step of 1e-6.
inline constexpr double kFiniteDifference = 1e-6;
/// bfloat16 has 8 bits of mantissa; products are rounded at each of the few layers of a test model.
inline constexpr double kBFloat16 = 3e-2;
/// A result computed in float32 and rounded to bfloat16 once: half of 2^-8 at most.
inline constexpr double kOneBFloat16Rounding = 2e-3;
/// The same from factors that were rounded to bfloat16 once: the errors of both roundings, which do not know each
/// other.
inline constexpr double kTwoBFloat16Roundings = 3e-3;
/// Few numbers from few such factors, whose errors may all add up and whose sum may be smaller than they.
inline constexpr double kFewBFloat16Factors = 6e-3;

/// ‖actual − expected‖ / ‖expected‖, both in float64. Two empty or two zero tensors are equal.
inline double relative_error(const at::Tensor& actual, const at::Tensor& expected) {
  const at::Tensor a = actual.detach().to(at::kDouble), e = expected.detach().to(at::kDouble);
  if (a.sizes() != e.sizes()) return std::numeric_limits<double>::infinity();
  const double norm = e.norm().item<double>(), difference = (a - e).norm().item<double>();
  return norm > 0 ? difference / norm : difference;
}

}  // namespace mformer::testing
