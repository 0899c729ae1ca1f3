// Gradients of stick-breaking attention: finite differences, autograd through the formula, memory.

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <tuple>
#include <utility>
#include <vector>

#include "kernels/stick_breaking_attention.h"
#include "tests/support/finite_difference.h"
#include "tests/support/naive_attention.h"
#include "tests/support/threads.h"
#include "tests/support/tolerance.h"

namespace mformer::kernels {
namespace {

using mformer::testing::differentiable_attention;
using mformer::testing::relative_error;
using mformer::testing::ThreadCount;
using ::testing::Combine;
using ::testing::Values;

at::Tensor leaf(at::IntArrayRef sizes, at::ScalarType dtype = at::kDouble) {
  return at::randn(sizes, at::kDouble).to(dtype).set_requires_grad(true);
}

struct Leaves {
  at::Tensor query, key, value;

  static Leaves random(std::int64_t batch, std::int64_t tokens, std::int64_t keys, std::int64_t k, std::int64_t heads,
                       std::int64_t head_size, at::ScalarType dtype = at::kDouble) {
    at::manual_seed(tokens * 131 + keys * 17 + k);
    return {leaf({batch, tokens, k, heads, head_size}, dtype), leaf({batch, keys, heads, head_size}, dtype),
            leaf({batch, keys, heads, head_size}, dtype)};
  }

  Leaves in_double() const {
    const auto copy = [](const at::Tensor& x) {
      return x.detach().to(at::kDouble, false, true).set_requires_grad(true);
    };
    return {copy(query), copy(key), copy(value)};
  }

  void backward(const at::Tensor& output, const at::Tensor& projection) const {
    (output * projection.to(output.scalar_type())).sum().backward();
  }
};

/// The gradients are products of factors rounded to bfloat16, and rounded themselves: twice half of 2^-8 at most, the
/// mean less. Projections are rounded before both computations.
constexpr double kBFloat16Gradient = testing::kTwoBFloat16Roundings;

/// Gradients of the kernel against those that autograd takes through the formula in float64.
void expect_same_gradients(const Leaves& actual, double tolerance, const std::optional<at::Tensor>& mask = {}) {
  const Leaves expected = actual.in_double();
  const at::Tensor projection = at::randn(actual.query.sizes(), at::kDouble).to(actual.query.scalar_type());
  actual.backward(stick_breaking_attention(actual.query, actual.key, actual.value, mask), projection);
  expected.backward(differentiable_attention(expected.query, expected.key, expected.value, mask), projection);
  EXPECT_LE(relative_error(actual.query.grad(), expected.query.grad()), tolerance) << "query";
  EXPECT_LE(relative_error(actual.key.grad(), expected.key.grad()), tolerance) << "key";
  EXPECT_LE(relative_error(actual.value.grad(), expected.value.grad()), tolerance) << "value";
}

TEST(StickBreakingGradient, MatchesFiniteDifferences) {
  const Leaves in = Leaves::random(1, 5, 7, 2, 2, 3);
  testing::expect_gradients_match_finite_differences(
      [&] { return stick_breaking_attention(in.query, in.key, in.value); }, {in.query, in.key, in.value});
}

TEST(StickBreakingGradient, MatchesFiniteDifferencesWithPaddedKeys) {
  const Leaves in = Leaves::random(2, 6, 6, 1, 1, 3);
  const at::Tensor mask = at::tensor({0, 1, 1, 1, 1, 1, 1, 1, 0, 1, 0, 0}, at::kLong).view({2, 6}).to(at::kBool);
  testing::expect_gradients_match_finite_differences(
      [&] { return stick_breaking_attention(in.query, in.key, in.value, mask); }, {in.query, in.key, in.value});
}

class StickBreakingGradientSizes : public ::testing::TestWithParam<std::tuple<std::int64_t, std::int64_t>> {};

TEST_P(StickBreakingGradientSizes, MatchesAutogradThroughTheFormulaAroundTheEdgesOfTiles) {
  const auto [tokens, k] = GetParam();
  expect_same_gradients(Leaves::random(2, tokens, tokens, k, 2, 5), 1e-11);
  expect_same_gradients(Leaves::random(1, tokens, tokens + 65, k, 1, 4), 1e-11);
  expect_same_gradients(Leaves::random(2, tokens, tokens, k, 2, 8, at::kFloat), testing::kFloat32);
}

INSTANTIATE_TEST_SUITE_P(TokensAndChoices, StickBreakingGradientSizes,
                         Combine(Values(1, 2, 21, 22, 32, 33, 63, 64, 65, 197), Values(1, 2, 3, 4)));

class StickBreakingGradientHeads : public ::testing::TestWithParam<std::int64_t> {};

TEST_P(StickBreakingGradientHeads, MatchesAutogradThroughTheFormulaForEverySizeOfHeads) {
  expect_same_gradients(Leaves::random(1, 70, 75, 2, 2, GetParam()), 1e-11);
  expect_same_gradients(Leaves::random(1, 70, 75, 2, 2, GetParam(), at::kFloat), testing::kFloat32);
  expect_same_gradients(Leaves::random(1, 70, 75, 2, 2, GetParam(), at::kBFloat16), kBFloat16Gradient);
}

INSTANTIATE_TEST_SUITE_P(Sizes, StickBreakingGradientHeads, Values(1, 3, 16, 24, 63, 64, 65, 80, 128, 256));

TEST(StickBreakingGradient, MatchesAutogradThroughTheFormulaWhereSticksLastForManyTiles) {
  for (const auto& [dtype, tolerance] : {std::pair(at::kDouble, 1e-11), std::pair(at::kFloat, testing::kFloat32),
                                         std::pair(at::kBFloat16, kBFloat16Gradient)}) {
    const Leaves in = Leaves::random(1, 400, 400, 2, 1, 16, dtype);
    in.query.data().select(-1, 0).fill_(7.0);
    in.key.data().select(-1, 0).fill_(-4.0);
    expect_same_gradients(in, tolerance);
  }
}

TEST(StickBreakingGradient, MatchesAutogradThroughTheFormulaWithPaddedRows) {
  at::Tensor mask = at::ones({3, 130}, at::kBool);
  mask[0].narrow(0, 0, 70).fill_(false);
  mask[1].narrow(0, 61, 69).fill_(false);
  mask[2].fill_(false);
  expect_same_gradients(Leaves::random(3, 130, 130, 2, 2, 4), 1e-11, mask);
}

TEST(StickBreakingGradient, IsRoundedOnlyInFactorsAndResultsInHalfPrecision) {
  expect_same_gradients(Leaves::random(1, 131, 131, 3, 2, 17, at::kBFloat16), kBFloat16Gradient);
  expect_same_gradients(Leaves::random(1, 131, 131, 3, 2, 17, at::kHalf), 1e-3);
}

TEST(StickBreakingGradient, StaysFiniteForExtremeScores) {
  for (const double score : {-200.0, -50.0, 50.0, 200.0}) {
    for (const at::ScalarType dtype : {at::kFloat, at::kDouble}) {
      const Leaves in = Leaves::random(1, 150, 150, 2, 1, 1, dtype);
      in.query.data().fill_(score);
      in.key.data().sign_();
      stick_breaking_attention(in.query, in.key, in.value).sum().backward();
      EXPECT_TRUE(in.query.grad().isfinite().all().item<bool>()) << score;
      EXPECT_TRUE(in.key.grad().isfinite().all().item<bool>()) << score;
      EXPECT_TRUE(in.value.grad().isfinite().all().item<bool>()) << score;
    }
  }
}

TEST(StickBreakingGradient, IsZeroForPaddedKeysAndForKeysAfterTheLastQuery) {
  const Leaves in = Leaves::random(1, 80, 80, 1, 1, 4);
  at::Tensor mask = at::ones({1, 80}, at::kBool);
  mask[0].narrow(0, 0, 30).fill_(false);
  at::Tensor output = stick_breaking_attention(in.query, in.key, in.value, mask);
  output.narrow(1, 0, 50).sum().backward();
  EXPECT_EQ(in.value.grad().narrow(1, 0, 30).abs().sum().item<double>(), 0);
  EXPECT_EQ(in.key.grad().narrow(1, 0, 30).abs().sum().item<double>(), 0);
  EXPECT_EQ(in.value.grad().narrow(1, 50, 30).abs().sum().item<double>(), 0);
  EXPECT_GT(in.value.grad().narrow(1, 30, 20).abs().sum().item<double>(), 0);
}

TEST(StickBreakingGradient, HasTheSameBitsInEveryRunAndWithEveryNumberOfThreads) {
  // One head: its blocks are shared out among all tasks.
  const auto run = [](int threads, at::ScalarType dtype, std::int64_t heads) {
    const ThreadCount count(threads);
    const Leaves in = Leaves::random(1, 700, 700, 2, heads, 16, dtype);
    stick_breaking_attention(in.query, in.key, in.value).square().sum().backward();
    return in;
  };
  const std::vector<std::tuple<int, at::ScalarType, std::int64_t>> cases = {
      {1, at::kFloat, 1}, {2, at::kFloat, 1}, {3, at::kFloat, 1}, {2, at::kFloat, 3}, {3, at::kBFloat16, 1}};
  for (const auto& [threads, dtype, heads] : cases) {
    const Leaves one = run(1, dtype, heads), other = run(threads, dtype, heads);
    EXPECT_TRUE(one.query.grad().equal(other.query.grad())) << threads;
    EXPECT_TRUE(one.key.grad().equal(other.key.grad())) << threads;
    EXPECT_TRUE(one.value.grad().equal(other.value.grad())) << threads;
  }
}

TEST(StickBreakingGradient, NeedsMemoryLinearInTheContext) {
  constexpr std::int64_t kTokens = 16384;
  const auto peak_bytes = [] {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss * 1024;
  };
  const Leaves in = Leaves::random(1, kTokens, kTokens, 1, 1, 2, at::kFloat);
  const auto before = peak_bytes();
  stick_breaking_attention(in.query, in.key, in.value).sum().backward();
  // One [tokens, tokens] matrix of float32 would be 1 GiB.
  EXPECT_LT(peak_bytes() - before, 64 << 20);
}

}  // namespace
}  // namespace mformer::kernels
