// Gradients of softmax attention: finite differences, autograd through the formula, memory.

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cmath>
#include <tuple>

#include "kernels/softmax_attention.h"
#include "tests/support/finite_difference.h"
#include "tests/support/naive_softmax_attention.h"
#include "tests/support/threads.h"
#include "tests/support/tolerance.h"

namespace mformer::kernels {
namespace {

using mformer::testing::differentiable_softmax_attention;
using mformer::testing::relative_error;
using mformer::testing::SoftmaxForm;
using mformer::testing::ThreadCount;
using ::testing::Combine;
using ::testing::Values;

struct SoftmaxLeaves {
  at::Tensor query, key, value;

  static SoftmaxLeaves random(std::int64_t batch, std::int64_t tokens, std::int64_t keys, std::int64_t k,
                              std::int64_t heads, std::int64_t size, at::ScalarType dtype = at::kDouble) {
    at::manual_seed(tokens * 131 + keys * 17 + k);
    const auto leaf = [&](at::IntArrayRef sizes) {
      return at::randn(sizes, at::kDouble).to(dtype).set_requires_grad(true);
    };
    return {leaf({batch, tokens, k, heads, size}), leaf({batch, keys, heads, size}), leaf({batch, keys, heads, size})};
  }

  SoftmaxLeaves in_double() const {
    const auto copy = [](const at::Tensor& x) {
      return x.detach().to(at::kDouble, false, true).set_requires_grad(true);
    };
    return {copy(query), copy(key), copy(value)};
  }

  std::vector<at::Tensor> gradients() const { return {query.grad(), key.grad(), value.grad()}; }
};

/// Gradients of the kernel against those that autograd takes through the formula in float64.
void expect_softmax_gradients(const SoftmaxLeaves& actual, double tolerance, const SoftmaxForm& form = {}) {
  const SoftmaxLeaves right = actual.in_double();
  const at::Tensor grad = at::randn(actual.query.sizes()).to(actual.query.scalar_type());
  softmax_attention(actual.query, actual.key, actual.value, form.key_mask, form.scale, form.window).backward(grad);
  differentiable_softmax_attention(right.query, right.key, right.value, form).backward(grad.to(at::kDouble));
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(actual.gradients()[i].scalar_type(), actual.query.scalar_type());
    EXPECT_LE(relative_error(actual.gradients()[i], right.gradients()[i]), tolerance)
        << i << ' ' << actual.query.sizes() << actual.key.sizes() << form.window;
  }
}

/// Products of factors rounded to bfloat16, rounded themselves, where terms of both signs leave less than they were.
constexpr double kBFloat16SoftmaxGradient = 2 * testing::kTwoBFloat16Roundings;

TEST(SoftmaxGradient, MatchesFiniteDifferences) {
  for (const std::int64_t window : {0, 3}) {
    const SoftmaxLeaves in = SoftmaxLeaves::random(2, 5, 7, 2, 2, 3);
    at::Tensor mask = at::ones({2, 7}, at::kBool);
    mask[1].narrow(0, 0, 4).fill_(false);  // also a query that reads nothing
    testing::expect_gradients_match_finite_differences(
        [&] { return softmax_attention(in.query, in.key, in.value, mask, 0.7, window); }, {in.query, in.key, in.value});
  }
}

class SoftmaxGradientSizes : public ::testing::TestWithParam<std::tuple<std::int64_t, std::int64_t>> {};

TEST_P(SoftmaxGradientSizes, MatchAutogradThroughTheFormula) {
  const auto [tokens, k] = GetParam();
  for (const std::int64_t window : {0, 1, 40, 65}) {
    expect_softmax_gradients(SoftmaxLeaves::random(2, tokens, tokens, k, 2, 5), 1e-10, {0.5, window});
  }
  expect_softmax_gradients(SoftmaxLeaves::random(1, tokens, tokens + 70, k, 2, 5), 1e-10);
  expect_softmax_gradients(SoftmaxLeaves::random(1, tokens, tokens, k, 2, 24, at::kFloat), testing::kFloat32);
  if (tokens > 2) {  // among two keys half of the rows have no gradient but rounding
    expect_softmax_gradients(SoftmaxLeaves::random(1, tokens, tokens, k, 2, 24, at::kBFloat16),
                             kBFloat16SoftmaxGradient);
  }
}

INSTANTIATE_TEST_SUITE_P(TokensAndChoices, SoftmaxGradientSizes, Combine(Values(2, 31, 64, 65, 150), Values(1, 3)));

TEST(SoftmaxGradient, MatchesForEverySizeOfHeadsAndWhereScoresAreLarge) {
  for (const std::int64_t size : {1, 16, 64, 65, 128}) {
    expect_softmax_gradients(SoftmaxLeaves::random(1, 70, 70, 2, 3, size, at::kFloat), testing::kFloat32,
                             {1 / std::sqrt(static_cast<double>(size))});
  }
  expect_softmax_gradients(SoftmaxLeaves::random(1, 150, 150, 1, 1, 16), 1e-10, {10.0});
}

TEST(SoftmaxGradient, SkipsPaddedKeys) {
  for (const std::int64_t window : {0, 30}) {
    at::Tensor mask = at::ones({3, 130}, at::kBool);
    mask[0].narrow(0, 0, 70).fill_(false);
    mask[1].narrow(0, 61, 69).fill_(false);
    mask[2].fill_(false);
    expect_softmax_gradients(SoftmaxLeaves::random(3, 130, 130, 2, 2, 4), 1e-10, {0.5, window, mask});
  }
}

TEST(SoftmaxGradient, IsTheSameBitsWithEveryNumberOfThreads) {
  for (const std::int64_t batch : {1, 20}) {
    const SoftmaxLeaves in = SoftmaxLeaves::random(batch, 200, 200, 2, 1, 16, at::kFloat);
    const at::Tensor grad = at::randn(in.query.sizes());
    const auto run = [&](int threads) {
      const ThreadCount count(threads);
      for (const at::Tensor& x : {in.query, in.key, in.value}) x.mutable_grad().reset();
      softmax_attention(in.query, in.key, in.value, std::nullopt, 0.25).backward(grad);
      return in.gradients();
    };
    const auto one = run(1);
    for (const int threads : {2, 3}) {
      const auto more = run(threads);
      for (std::size_t i = 0; i < 3; ++i) EXPECT_TRUE(one[i].equal(more[i])) << batch << threads << i;
    }
  }
}

TEST(SoftmaxGradient, NeedsMemoryLinearInTheContext) {
  const SoftmaxLeaves in = SoftmaxLeaves::random(1, 1 << 13, 1 << 13, 1, 1, 4, at::kFloat);
  rusage before{}, after{};
  getrusage(RUSAGE_SELF, &before);
  softmax_attention(in.query, in.key, in.value, std::nullopt, 0.5).sum().backward();
  getrusage(RUSAGE_SELF, &after);
  EXPECT_LT(after.ru_maxrss - before.ru_maxrss, 64 << 10);  // KiB; all scores would be 256 MiB
}

}  // namespace
}  // namespace mformer::kernels
