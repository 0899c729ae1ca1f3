// The dense product against LibTorch's in float64.

#include "kernels/linear.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/support/finite_difference.h"
#include "tests/support/threads.h"
#include "tests/support/tolerance.h"

namespace mformer::kernels {
namespace {

using mformer::testing::relative_error;
using mformer::testing::ThreadCount;

/// Output and gradients (x, weight, bias) for a fixed upstream gradient.
std::vector<at::Tensor> run(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                            const at::Tensor& upstream,
                            at::Tensor (*function)(const at::Tensor&, const at::Tensor&, const at::Tensor&)) {
  at::Tensor a = x.detach().clone().requires_grad_(true), w = weight.detach().clone().requires_grad_(true);
  at::Tensor b = bias.defined() ? bias.detach().clone().requires_grad_(true) : bias;
  const at::Tensor y = function(a, w, b);
  y.backward(upstream.to(y.scalar_type()));
  return {y, a.grad(), w.grad(), b.defined() ? b.grad() : at::zeros({1})};
}

at::Tensor reference(const at::Tensor& x, const at::Tensor& w, const at::Tensor& b) {
  return at::linear(x, w, b);
}

TEST(Linear, MatchesFloat64InValueAndGradientsForSizesAroundEveryEdge) {
  at::manual_seed(1);
  for (const std::int64_t rows : {1, 6, 7, 511, 513, 600}) {
    for (const auto& [in, out] : {std::pair<std::int64_t, std::int64_t>{5, 3}, {64, 64}, {65, 130}, {1030, 17}}) {
      const at::Tensor x = at::randn({rows, in}), w = at::randn({out, in}), b = at::randn({out});
      const at::Tensor upstream = at::randn({rows, out});
      const auto expected = run(x.to(at::kDouble), w.to(at::kDouble), b.to(at::kDouble), upstream, reference);
      const auto actual = run(x, w, b, upstream, linear);
      for (std::size_t i = 0; i < actual.size(); ++i) {
        EXPECT_LE(relative_error(actual[i], expected[i]), testing::kFloat32)
            << rows << " " << in << " " << out << " " << i;
      }
    }
  }
}

TEST(Linear, BFloat16InputsMeetFloat32WeightsWithFloat32Sums) {
  at::manual_seed(2);
  const at::Tensor x = at::randn({37, 200}).to(at::kBFloat16), w = at::randn({70, 200}), b = at::randn({70});
  const at::Tensor upstream = at::randn({37, 70}).to(at::kBFloat16), rounded = w.to(at::kBFloat16);
  const auto expected = run(x.to(at::kDouble), rounded.to(at::kDouble), b.to(at::kDouble), upstream, reference);
  const auto actual = run(x, w, b, upstream, linear);
  EXPECT_EQ(actual[0].scalar_type(), at::kBFloat16);
  EXPECT_EQ(actual[2].scalar_type(), at::kFloat);
  EXPECT_LE(relative_error(actual[0], expected[0]), testing::kOneBFloat16Rounding);
  EXPECT_LE(relative_error(actual[1], expected[1]), testing::kOneBFloat16Rounding);
  EXPECT_LE(relative_error(actual[2], expected[2]), testing::kFloat32);  // summed and kept in float32
  EXPECT_LE(relative_error(actual[3], expected[3]), testing::kFloat32);
}

TEST(Linear, KeepsLeadingDimensionsAndGoesWithoutABias) {
  const at::Tensor x = at::randn({2, 3, 4, 10}), w = at::randn({6, 10});
  const at::Tensor y = kernels::linear(x, w);
  EXPECT_EQ(y.sizes(), (at::IntArrayRef{2, 3, 4, 6}));
  EXPECT_LE(relative_error(y, at::linear(x.to(at::kDouble), w.to(at::kDouble))), testing::kFloat32);
}

TEST(Linear, GivesTheSameBitsWhateverTheNumberOfThreads) {
  const at::Tensor x = at::randn({700, 300}), w = at::randn({200, 300}), upstream = at::randn({700, 200});
  std::vector<at::Tensor> one;
  for (const int threads : {1, 2, 3}) {
    const ThreadCount count(threads);
    const auto now = run(x, w, {}, upstream, linear);
    if (one.empty()) one = now;
    for (std::size_t i = 0; i < now.size(); ++i) EXPECT_TRUE(at::equal(now[i], one[i])) << threads << " " << i;
  }
}

TEST(Linear, AFrozenWeightGetsNoGradient) {
  const at::Tensor x = at::randn({8, 10}).requires_grad_(true), w = at::randn({6, 10});
  kernels::linear(x, w).sum().backward();
  EXPECT_TRUE(x.grad().defined());
  EXPECT_FALSE(w.grad().defined());
}

TEST(Linear, NamesTheArgumentThatDoesNotFit) {
  const auto message = [](const at::Tensor& x, const at::Tensor& w, const at::Tensor& b) -> std::string {
    try {
      kernels::linear(x, w, b);
    } catch (const c10::Error& error) {
      return error.what_without_backtrace();
    }
    return "";
  };
  EXPECT_NE(message(at::randn({2, 3}), at::randn({4, 5}), {}).find("x must be"), std::string::npos);
  EXPECT_NE(message(at::randn({2, 3}), at::randn({3}), {}).find("weight must be"), std::string::npos);
  EXPECT_NE(message(at::randn({2, 3}), at::randn({4, 3}), at::randn({5})).find("bias must be"), std::string::npos);
}

}  // namespace
}  // namespace mformer::kernels
