// Rotary positions against their formula, one pair at a time.

#include "kernels/rotary.h"

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

std::vector<double> frequencies(std::int64_t size) {
  std::vector<double> result;
  for (std::int64_t i = 0; i < size / 2; ++i) {
    result.push_back(std::pow(10000.0, -2.0 * static_cast<double>(i) / static_cast<double>(size)));
  }
  return result;
}

/// Each pair (i, i + size / 2) turned by its angle.
at::Tensor naive_rotation(const at::Tensor& x, const RotaryTable& table, std::int64_t first_position) {
  const std::int64_t size = x.size(-1), half = size / 2;
  const at::Tensor from = x.to(at::kDouble).reshape({x.size(0), x.size(1), -1, size}).contiguous();
  at::Tensor to = at::empty_like(from);
  const auto cos = table.cos.accessor<float, 2>(), sin = table.sin.accessor<float, 2>();
  const auto in = from.accessor<double, 4>();
  auto out = to.accessor<double, 4>();
  for (std::int64_t b = 0; b < from.size(0); ++b) {
    for (std::int64_t t = 0; t < from.size(1); ++t) {
      for (std::int64_t h = 0; h < from.size(2); ++h) {
        for (std::int64_t i = 0; i < half; ++i) {
          const double c = cos[first_position + t][i], s = sin[first_position + t][i];
          out[b][t][h][i] = in[b][t][h][i] * c - in[b][t][h][i + half] * s;
          out[b][t][h][i + half] = in[b][t][h][i + half] * c + in[b][t][h][i] * s;
        }
      }
    }
  }
  return to.view(x.sizes());
}

double rotary_tolerance(at::ScalarType dtype) {
  if (dtype == at::kDouble) return testing::kFloat64;
  return dtype == at::kFloat ? 1e-6 : testing::kOneBFloat16Rounding;
}

TEST(RotaryTable, HoldsTheAnglesOfFloat32Products) {
  const RotaryTable table = rotary_table({1.0, 0.1, 1e-4}, 1.5, 5000);
  ASSERT_EQ(table.cos.sizes(), at::IntArrayRef({5000, 3}));
  ASSERT_EQ(table.sin.sizes(), at::IntArrayRef({5000, 3}));
  EXPECT_EQ(table.cos[0][2].item<float>(), 1.5F);
  EXPECT_EQ(table.sin[0][2].item<float>(), 0.0F);
  const float angle = 4999.0F * 0.1F;  // rounded, as trained models saw it
  EXPECT_NEAR(table.cos[4999][1].item<double>(), 1.5 * std::cos(static_cast<double>(angle)), 2e-7);
  EXPECT_NEAR(table.sin[4999][1].item<double>(), 1.5 * std::sin(static_cast<double>(angle)), 2e-7);
}

class RotarySizes : public ::testing::TestWithParam<std::int64_t> {};

TEST_P(RotarySizes, MatchesTheFormulaForQueriesAndKeysInEveryDtype) {
  at::manual_seed(GetParam());
  const RotaryTable table = rotary_table(frequencies(GetParam()), 1.25, 70);
  for (const at::ScalarType dtype : {at::kDouble, at::kFloat, at::kBFloat16, at::kHalf}) {
    const at::Tensor query = at::randn({2, 33, 3, 2, GetParam()}).to(dtype), key = at::randn({2, 33, 2, GetParam()});
    for (const at::Tensor& x : {query, key.to(dtype), at::randn({1, 1, GetParam()}).to(dtype)}) {
      for (const std::int64_t first : {0, 37}) {
        const at::Tensor y = rotate(x, table, first);
        EXPECT_EQ(y.scalar_type(), dtype);
        const double tolerance = x.numel() < 64 && dtype != at::kDouble ? 1.0 / 256 : rotary_tolerance(dtype);
        EXPECT_LE(relative_error(y, naive_rotation(x, table, first)), tolerance) << dtype << ' ' << x.sizes();
      }
    }
  }
}

// Halves of vectors, around their edges, and those of real heads.
INSTANTIATE_TEST_SUITE_P(Sizes, RotarySizes, ::testing::Values(2, 6, 30, 32, 34, 64, 66, 128, 256));

TEST(Rotary, ScoresDependOnDistancesOnly) {
  at::manual_seed(1);
  const RotaryTable table = rotary_table(frequencies(16), 1, 200);
  const at::Tensor q = at::randn({1, 1, 1, 16}, at::kDouble), k = at::randn({1, 1, 1, 16}, at::kDouble);
  const auto score = [&](std::int64_t at_query, std::int64_t at_key) {
    return (rotate(q, table, at_query) * rotate(k, table, at_key)).sum().item<double>();
  };
  EXPECT_NEAR(score(7, 3), score(154, 150), 1e-5);  // angles are float32
  EXPECT_GT(std::abs(score(7, 3) - score(7, 4)), 1e-3);
}

TEST(Rotary, GradientsMatchFiniteDifferences) {
  at::manual_seed(2);
  const RotaryTable table = rotary_table(frequencies(6), 1.25, 9);
  const at::Tensor query = at::randn({2, 3, 2, 2, 6}, at::kDouble).requires_grad_(true);
  const at::Tensor key = at::randn({2, 3, 2, 6}, at::kDouble).requires_grad_(true);
  testing::expect_gradients_match_finite_differences([&] { return rotate(query, table, 5); }, {query});
  testing::expect_gradients_match_finite_differences([&] { return rotate(key, table, 0); }, {key});
}

TEST(Rotary, GradientsTurnBackInFloat32AndBFloat16) {
  at::manual_seed(3);
  const RotaryTable table = rotary_table(frequencies(64), 1, 40);
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const at::Tensor x = at::randn({2, 40, 3, 64}).to(dtype).requires_grad_(true);
    rotate(x, table, 0).backward(rotate(x.detach(), table, 0));
    EXPECT_EQ(x.grad().scalar_type(), dtype);
    EXPECT_LE(relative_error(x.grad(), x), dtype == at::kFloat ? 1e-6 : testing::kTwoBFloat16Roundings);
  }
}

TEST(Rotary, TakesViewsThatAreNotContiguousAndLeavesThemAlone) {
  at::manual_seed(4);
  const RotaryTable table = rotary_table(frequencies(32), 1, 40);
  const at::Tensor x = at::randn({2, 3, 9, 32});
  const at::Tensor before = x.clone(), expected = rotate(x.transpose(1, 2).contiguous(), table, 4);
  EXPECT_TRUE(rotate(x.transpose(1, 2), table, 4).equal(expected));
  EXPECT_TRUE(rotate(at::cat({x, x}, 1).transpose(1, 2).narrow(2, 0, 3), table, 4).equal(expected));
  const at::Tensor every_other = at::stack({x, x}, -1).flatten(-2).slice(-1, 0, 64, 2).transpose(1, 2);
  EXPECT_TRUE(rotate(every_other, table, 4).equal(expected));
  EXPECT_TRUE(x.equal(before));
}

TEST(Rotary, GivesTheSameBitsWithEveryNumberOfThreads) {
  at::manual_seed(5);
  const RotaryTable table = rotary_table(frequencies(66), 1, 400);
  const at::Tensor x = at::randn({2, 400, 7, 66});
  const auto run = [&](int threads) {
    const testing::ThreadCount count(threads);
    return rotate(x, table, 0);
  };
  EXPECT_TRUE(run(1).equal(run(2)));
  EXPECT_TRUE(run(1).equal(run(3)));
}

TEST(Rotary, RefusesArgumentsThatDoNotFitByName) {
  const RotaryTable table = rotary_table(frequencies(4), 1, 8);
  const at::Tensor x = at::ones({1, 3, 2, 4});
  EXPECT_THAT(refusal([&] { rotate(x, table, 6); }), HasSubstr("table has 8 positions, x needs 6 … 8"));
  EXPECT_THAT(refusal([&] { rotate(x, table, -1); }), HasSubstr("table has 8 positions"));
  EXPECT_THAT(refusal([&] { rotate(x, table, std::numeric_limits<std::int64_t>::max()); }), HasSubstr("table has 8"));
  EXPECT_THAT(refusal([&] { rotate(at::ones({1, 3, 2, 6}), table, 0); }), HasSubstr("table must be float32"));
  EXPECT_THAT(refusal([&] { rotate(at::ones({1, 3, 2, 5}), table, 0); }), HasSubstr("x must be"));
  EXPECT_THAT(refusal([&] { rotate(at::ones({3, 4}), table, 0); }), HasSubstr("x must be"));
  EXPECT_THAT(refusal([&] { rotate(x.to(at::kLong), table, 0); }), HasSubstr("x must be"));
  EXPECT_THAT(refusal([&] { rotate(x, {table.cos, {}}, 0); }), HasSubstr("table must be"));
  EXPECT_THAT(refusal([&] { rotate(x, {table.cos, table.sin.narrow(0, 0, 7)}, 0); }), HasSubstr("table must be"));
  EXPECT_THAT(refusal([&] { rotary_table({}, 1, 8); }), HasSubstr("inverse_frequencies must"));
  EXPECT_THAT(refusal([&] { rotary_table({NAN}, 1, 8); }), HasSubstr("inverse_frequencies must"));
  EXPECT_THAT(refusal([&] { rotary_table({1}, INFINITY, 8); }), HasSubstr("attention_factor must"));
  EXPECT_THAT(refusal([&] { rotary_table({1}, 1, 0); }), HasSubstr("positions must"));
}

TEST(Rotary, InPlaceTurnsTheFirstHeadsOfEveryRowToTheSameBits) {
  const at::NoGradGuard no_grad;
  at::manual_seed(4);
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const RotaryTable table = rotary_table(frequencies(8), 1, 5);
    const at::Tensor x = at::randn({2, 5, 3, 4 * 8}).to(dtype);
    at::Tensor turned = x.clone();
    rotate_in_place(turned, table, 3);
    const at::Tensor heads = rotate(x.narrow(3, 0, 24).unflatten(3, {3, 8}), table, 0).flatten(3);
    EXPECT_TRUE(turned.narrow(3, 0, 24).equal(heads));
    EXPECT_TRUE(turned.narrow(3, 24, 8).equal(x.narrow(3, 24, 8)));
    EXPECT_THAT(refusal([&] { rotate_in_place(turned, table, 5); }), HasSubstr("hold no 5 heads"));
  }
}

}  // namespace
}  // namespace mformer::kernels
