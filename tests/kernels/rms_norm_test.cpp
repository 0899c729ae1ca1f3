// RMSNorm against its formula in float64, one row at a time.

#include "kernels/rms_norm.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/finite_difference.h"
#include "tests/support/refusal.h"
#include "tests/support/threads.h"
#include "tests/support/tolerance.h"

namespace mformer::kernels {
namespace {

using mformer::testing::refusal;
using mformer::testing::relative_error;
using ::testing::HasSubstr;

at::Tensor naive_rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon) {
  const at::Tensor rows = x.to(at::kDouble).reshape({-1, x.size(-1)}).contiguous(), w = weight.to(at::kDouble);
  at::Tensor y = at::empty_like(rows);
  const auto from = rows.accessor<double, 2>();
  auto to = y.accessor<double, 2>();
  for (std::int64_t r = 0; r < rows.size(0); ++r) {
    double sum = 0;
    for (std::int64_t i = 0; i < rows.size(1); ++i) sum += from[r][i] * from[r][i];
    const double scale = 1 / std::sqrt(sum / static_cast<double>(rows.size(1)) + epsilon);
    for (std::int64_t i = 0; i < rows.size(1); ++i) to[r][i] = from[r][i] * scale * w[i].item<double>();
  }
  return y.view(x.sizes());
}

double rms_tolerance(at::ScalarType dtype) {
  if (dtype == at::kDouble) return testing::kFloat64;
  return dtype == at::kFloat ? 1e-6 : testing::kOneBFloat16Rounding;
}

// Widths around the lanes of the partial sums, and one that vectors divide.
class RmsNormWidths : public ::testing::TestWithParam<std::int64_t> {};

TEST_P(RmsNormWidths, MatchesTheFormulaInEveryDtype) {
  at::manual_seed(GetParam());
  for (const at::ScalarType dtype : {at::kDouble, at::kFloat, at::kBFloat16, at::kHalf}) {
    const at::Tensor x = (3 * at::randn({2, 35, GetParam()}) + 1).to(dtype);
    for (const at::ScalarType of_weight : {dtype, at::kFloat}) {
      const at::Tensor weight = at::randn({GetParam()}).to(of_weight);
      const at::Tensor y = rms_norm(x, weight, 1e-5);
      EXPECT_EQ(y.scalar_type(), dtype);
      // A row of one value is a single rounding, which others don't average out.
      const double tolerance = GetParam() <= 2 && dtype != at::kDouble ? 1.0 / 256 : rms_tolerance(dtype);
      EXPECT_LE(relative_error(y, naive_rms_norm(x, weight, 1e-5)), tolerance) << dtype << ' ' << of_weight;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Widths, RmsNormWidths, ::testing::Values(1, 2, 31, 32, 33, 70, 576, 1024));

TEST(RmsNorm, GradientsMatchFiniteDifferences) {
  at::manual_seed(1);
  for (const std::int64_t width : {1, 5, 40}) {
    const at::Tensor x = at::randn({2, 3, width}, at::kDouble).requires_grad_(true);
    const at::Tensor weight = at::randn({width}, at::kDouble).requires_grad_(true);
    testing::expect_gradients_match_finite_differences([&] { return rms_norm(x, weight, 1e-2); }, {x, weight});
  }
}

/// Gradients of x and weight, for the same random gradient of the output in every dtype.
std::pair<at::Tensor, at::Tensor> rms_gradients(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& grad,
                                                at::ScalarType dtype, at::ScalarType of_weight) {
  const at::Tensor a = x.to(dtype, false, true).requires_grad_(true);
  const at::Tensor w = weight.to(of_weight, false, true).requires_grad_(true);
  rms_norm(a, w, 1e-6).backward(grad.to(dtype));
  EXPECT_EQ(a.grad().scalar_type(), dtype);
  EXPECT_EQ(w.grad().scalar_type(), of_weight);
  return {a.grad(), w.grad()};
}

TEST(RmsNorm, GradientsInFloat32AndBFloat16MatchThoseInFloat64) {
  at::manual_seed(2);
  for (const std::int64_t rows : {1, 63, 1000}) {
    const at::Tensor x = at::randn({rows, 70}).to(at::kBFloat16), grad = at::randn({rows, 70}).to(at::kBFloat16);
    const at::Tensor weight = at::randn({70}).to(at::kBFloat16);
    const auto right = rms_gradients(x, weight, grad, at::kDouble, at::kDouble);
    const auto single = rms_gradients(x, weight, grad, at::kFloat, at::kFloat);
    const auto mixed = rms_gradients(x, weight, grad, at::kBFloat16, at::kFloat);
    EXPECT_LE(relative_error(single.first, right.first), testing::kFloat32);
    EXPECT_LE(relative_error(single.second, right.second), testing::kFloat32);
    // One row is too few values for roundings to average out.
    EXPECT_LE(relative_error(mixed.first, right.first), rows == 1 ? 1.0 / 256 : testing::kOneBFloat16Rounding);
    EXPECT_LE(relative_error(mixed.second, right.second), testing::kFloat32);
  }
}

TEST(RmsNorm, GivesTheSameBitsWithEveryNumberOfThreads) {
  at::manual_seed(3);
  const at::Tensor x = at::randn({3001, 200}).requires_grad_(true), weight = at::randn({200}).requires_grad_(true);
  const at::Tensor grad = at::randn({3001, 200});
  const auto run = [&](int threads) {
    const testing::ThreadCount count(threads);
    x.mutable_grad().reset();
    weight.mutable_grad().reset();
    const at::Tensor y = rms_norm(x, weight, 1e-5);
    y.backward(grad);
    return std::vector<at::Tensor>{y.detach(), x.grad(), weight.grad()};
  };
  const auto one = run(1);
  for (const int threads : {2, 3}) {
    const auto more = run(threads);
    for (std::size_t i = 0; i < one.size(); ++i) EXPECT_TRUE(one[i].equal(more[i])) << threads << ' ' << i;
  }
}

TEST(RmsNorm, LeavesZerosZeroAndTakesNoRowsAndStridedOnes) {
  EXPECT_TRUE(rms_norm(at::zeros({2, 7}), at::ones({7}), 1e-6).equal(at::zeros({2, 7})));
  EXPECT_EQ(rms_norm(at::zeros({0, 7}), at::ones({7}), 1e-6).sizes(), at::IntArrayRef({0, 7}));
  at::manual_seed(4);
  const at::Tensor x = at::randn({7, 5}).t(), weight = at::randn({14}).slice(0, 0, 14, 2);
  EXPECT_TRUE(rms_norm(x, weight, 1e-6).equal(rms_norm(x.contiguous(), weight.contiguous(), 1e-6)));
}

TEST(RmsNorm, RefusesArgumentsThatDoNotFitByName) {
  const at::Tensor x = at::ones({2, 4}), weight = at::ones({4});
  EXPECT_THAT(refusal([&] { rms_norm(x.to(at::kLong), weight, 1e-5); }), HasSubstr("x must be"));
  EXPECT_THAT(refusal([&] { rms_norm(at::ones({2, 0}), at::ones({0}), 1e-5); }), HasSubstr("x must be"));
  EXPECT_THAT(refusal([&] { rms_norm(x, at::ones({3}), 1e-5); }), HasSubstr("weight must be"));
  EXPECT_THAT(refusal([&] { rms_norm(x, at::ones({4}, at::kInt), 1e-5); }), HasSubstr("weight must be"));
  EXPECT_THAT(refusal([&] { rms_norm(x, weight, -1); }), HasSubstr("epsilon must be"));
  EXPECT_THAT(refusal([&] { rms_norm(x, weight, NAN); }), HasSubstr("epsilon must be"));
}

}  // namespace
}  // namespace mformer::kernels
