// One product a module against a loop over rows.

#include "kernels/grouped_linear.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/finite_difference.h"
#include "tests/support/threads.h"
#include "tests/support/tolerance.h"

namespace mformer::kernels {
namespace {

using mformer::testing::relative_error;
using mformer::testing::ThreadCount;
using ::testing::HasSubstr;

using Offsets = std::vector<std::int64_t>;

std::vector<at::Tensor> random_weights(std::int64_t modules, std::int64_t in, std::int64_t out, at::ScalarType dtype) {
  std::vector<at::Tensor> weights;
  for (std::int64_t m = 0; m < modules; ++m) weights.push_back(at::randn({in, out}, at::kDouble).to(dtype));
  return weights;
}

/// Row by row, sum by sum, in float64.
at::Tensor looped(const at::Tensor& x, const Offsets& offset, const std::vector<at::Tensor>& weights) {
  const at::Tensor rows = x.detach().to(at::kDouble);
  at::Tensor y = at::zeros({x.size(0), weights[0].size(1)}, at::kDouble);
  for (std::size_t m = 0; m < weights.size(); ++m) {
    const at::Tensor weight = weights[m].detach().to(at::kDouble);
    for (std::int64_t r = offset[m]; r < offset[m + 1]; ++r) {
      for (std::int64_t i = 0; i < x.size(1); ++i) y[r] += rows[r][i] * weight[i];
    }
  }
  return y;
}

class GroupedLinearTest : public ::testing::TestWithParam<at::ScalarType> {
 protected:
  GroupedLinearTest() { at::manual_seed(3); }
  static double tolerance() {
    return GetParam() == at::kDouble  ? testing::kFloat64
           : GetParam() == at::kFloat ? testing::kFloat32
                                      : testing::kOneBFloat16Rounding;
  }
};

TEST_P(GroupedLinearTest, MatchesTheLoopForUnevenAndEmptyModules) {
  const at::Tensor x = at::randn({23, 9}, at::kDouble).to(GetParam());
  const auto weights = random_weights(5, 9, 7, GetParam());
  for (const Offsets& offset :
       {Offsets{0, 0, 10, 11, 11, 23}, Offsets{0, 0, 0, 23, 23, 23}, Offsets{0, 5, 9, 14, 20, 23}}) {
    const at::Tensor y = grouped_linear(x, offset, weights);
    EXPECT_EQ(y.scalar_type(), GetParam());
    EXPECT_LE(relative_error(y, looped(x, offset, weights)), tolerance());
  }
}

TEST_P(GroupedLinearTest, MatchesTheLoopForManyRowsOfOneModule) {
  const at::Tensor x = at::randn({300, 40}, at::kDouble).to(GetParam());
  const auto weights = random_weights(2, 40, 33, GetParam());
  EXPECT_LE(relative_error(grouped_linear(x, {0, 299, 300}, weights), looped(x, {0, 299, 300}, weights)), tolerance());
}

INSTANTIATE_TEST_SUITE_P(DTypes, GroupedLinearTest, ::testing::Values(at::kFloat, at::kDouble, at::kBFloat16),
                         [](const auto& instance) { return c10::toString(instance.param); });

TEST(GroupedLinear, GivesNoRowsForNoRows) {
  const auto weights = random_weights(3, 4, 5, at::kFloat);
  EXPECT_EQ(grouped_linear(at::empty({0, 4}), {0, 0, 0, 0}, weights).sizes(), at::IntArrayRef({0, 5}));
}

TEST(GroupedLinear, RoundsFloat32WeightsForBFloat16Rows) {
  at::manual_seed(4);
  const at::Tensor x = at::randn({12, 16}).to(at::kBFloat16);
  const auto weights = random_weights(3, 16, 8, at::kFloat);
  std::vector<at::Tensor> rounded;
  for (const at::Tensor& weight : weights) rounded.push_back(weight.to(at::kBFloat16));
  const Offsets offset = {0, 4, 4, 12};
  const at::Tensor y = grouped_linear(x, offset, weights);
  EXPECT_EQ(y.scalar_type(), at::kBFloat16);
  EXPECT_LE(relative_error(y, looped(x, offset, rounded)), testing::kOneBFloat16Rounding);
}

TEST(GroupedLinear, GradientsMatchFiniteDifferences) {
  at::manual_seed(5);
  const at::Tensor x = at::randn({6, 4}, at::kDouble).set_requires_grad(true);
  auto weights = random_weights(3, 4, 3, at::kDouble);
  for (at::Tensor& weight : weights) weight.set_requires_grad(true);
  const auto run = [&] { return grouped_linear(x, {0, 2, 3, 6}, weights); };
  testing::expect_gradients_match_finite_differences(run, {x, weights[0], weights[1], weights[2]});
}

TEST(GroupedLinear, GradientsOfABFloat16ProductComeInTheTypeOfEachInput) {
  at::manual_seed(6);
  const at::Tensor x = at::randn({12, 16}).to(at::kBFloat16).set_requires_grad(true);
  auto weights = random_weights(2, 16, 8, at::kFloat);
  for (at::Tensor& weight : weights) weight.set_requires_grad(true);
  const at::Tensor projection = at::randn({12, 8}).to(at::kBFloat16);
  grouped_linear(x, {0, 5, 12}, weights).backward(projection);
  EXPECT_EQ(x.grad().scalar_type(), at::kBFloat16);
  ASSERT_EQ(weights[0].grad().scalar_type(), at::kFloat);
  const at::Tensor expected =
      x.detach().narrow(0, 0, 5).to(at::kDouble).t().mm(projection.narrow(0, 0, 5).to(at::kDouble));
  EXPECT_LE(relative_error(weights[0].grad(), expected), testing::kOneBFloat16Rounding);
}

TEST(GroupedLinear, GivesFrozenAndUnusedModulesNoGradientAtAll) {
  const at::Tensor x = at::randn({4, 3}).set_requires_grad(true);
  auto weights = random_weights(3, 3, 2, at::kFloat);
  weights[0].set_requires_grad(true);
  weights[2].set_requires_grad(true);
  grouped_linear(x, {0, 2, 4, 4}, weights).sum().backward();
  EXPECT_TRUE(weights[0].grad().defined());
  EXPECT_FALSE(weights[1].grad().defined()) << "frozen";
  EXPECT_FALSE(weights[2].grad().defined() && weights[2].grad().any().item<bool>()) << "no rows";
  EXPECT_TRUE(x.grad().narrow(0, 2, 2).any().item<bool>()) << "the gradient still flows through a frozen module";
}

/// Whether the rows of a product live on in its graph when nobody else has them.
bool keeps_rows(const std::vector<at::Tensor>& weights, const Recomputed& again) {
  at::Tensor x = again.from.empty() ? at::randn({4, 3}) : again.make(again.from);
  const c10::weak_intrusive_ptr<c10::TensorImpl> rows(x.getIntrusivePtr());
  const at::Tensor y = grouped_linear(x.set_requires_grad(true), {0, 2, 4}, weights, {}, again);
  x.reset();
  // The graph's end, where the gradient of x is to go, holds it by itself, once; as an intermediate it would not.
  return rows.use_count() > 1;
}

TEST(GroupedLinear, KeepsItsRowsForTheGradientsOfWeightsAloneUnlessTheyAreMadeAgain) {
  const at::Tensor half = at::randn({4, 3});
  const Recomputed doubled{{half}, [](const std::vector<at::Tensor>& from) { return from[0] * 2; }};
  auto weights = random_weights(2, 3, 2, at::kFloat);
  EXPECT_FALSE(keeps_rows(weights, {})) << "frozen weights need no rows";
  weights[1].set_requires_grad(true);
  EXPECT_TRUE(keeps_rows(weights, {}));
  EXPECT_FALSE(keeps_rows(weights, doubled));
}

TEST(GroupedLinear, GivesTheSameGradientsWithRowsThatAreMadeAgain) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    at::manual_seed(8);
    const at::Tensor half = at::randn({8, 5}).to(dtype).set_requires_grad(true);
    auto weights = random_weights(2, 5, 3, at::kFloat);
    for (at::Tensor& weight : weights) weight.set_requires_grad(true);
    const Recomputed doubled{{half}, [](const std::vector<at::Tensor>& from) {
                               EXPECT_FALSE(at::GradMode::is_enabled());
                               return from[0] * 2;
                             }};
    for (const auto product : {grouped_linear, grouped_linear_sum}) {
      std::vector<at::Tensor> gradients;
      for (const Recomputed& again : {Recomputed{}, doubled}) {
        product(half * 2, {0, 4, 8}, weights, {}, again).sum().backward();
        for (const at::Tensor& leaf : {half, weights[0], weights[1]}) {
          gradients.push_back(leaf.grad());
          leaf.mutable_grad().reset();
        }
      }
      for (std::size_t i = 0; i < 3; ++i) EXPECT_TRUE(gradients[i].equal(gradients[i + 3])) << i;
    }
  }
}

TEST(GroupedLinear, NeedsNoGradientOfTheRowsToTrainWeights) {
  const at::Tensor x = at::randn({4, 3});
  auto weights = random_weights(1, 3, 2, at::kFloat);
  weights[0].set_requires_grad(true);
  grouped_linear(x, {0, 4}, weights).sum().backward();
  EXPECT_LE(relative_error(weights[0].grad(), x.sum(0).unsqueeze(1).expand({3, 2})), testing::kFloat32);
  EXPECT_FALSE(x.grad().defined());
}

TEST(GroupedLinear, KeepsFrozenWeightsPackedAndNoticesWhenOneChanges) {
  at::manual_seed(11);
  const Offsets offset{0, 3, 3, 9};
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    auto weights = random_weights(3, 40, 70, at::kFloat);
    weights[2].requires_grad_(true);
    const auto frozen = c10::make_intrusive<FrozenPanels>();
    const auto run = [&](const c10::intrusive_ptr<FrozenPanels>& panels) {
      at::manual_seed(12);
      const at::Tensor x = at::randn({9, 40}, dtype).requires_grad_(true);
      const at::Tensor y = grouped_linear(x, offset, weights, panels);
      y.square().sum().backward();
      return std::pair(y.detach(), x.grad());
    };
    const auto expect_equal = [](const auto& a, const auto& b) {
      EXPECT_TRUE(at::equal(a.first, b.first));
      EXPECT_TRUE(at::equal(a.second, b.second));
    };
    expect_equal(run(frozen), run({}));
    // Module 0 in both directions; module 1 has no rows, module 2 is trained.
    const std::int64_t bytes = static_cast<std::int64_t>(c10::elementSize(dtype)) * (40 * 128 + 70 * 64);
    EXPECT_EQ(frozen->bytes(), bytes);
    expect_equal(run(frozen), run({}));
    EXPECT_EQ(frozen->bytes(), bytes);
    weights[0].mul_(2);
    expect_equal(run(frozen), run({}));
  }
}

TEST(GroupedLinear, GivesTheSameBitsInEveryRun) {
  at::manual_seed(7);
  const at::Tensor x = at::randn({200, 64});
  const auto weights = random_weights(4, 64, 96, at::kFloat);
  const ThreadCount count(2);
  const at::Tensor first = grouped_linear(x, {0, 50, 50, 120, 200}, weights);
  EXPECT_TRUE(first.equal(grouped_linear(x, {0, 50, 50, 120, 200}, weights)));
}

std::string refusal(const at::Tensor& x, const Offsets& offset, const std::vector<at::Tensor>& weights) {
  try {
    grouped_linear(x, offset, weights);
  } catch (const c10::Error& e) {
    return e.what_without_backtrace();
  }
  return "nothing was refused";
}

TEST(GroupedLinear, RefusesArgumentsThatDoNotFitByName) {
  const at::Tensor x = at::randn({4, 3});
  auto weights = random_weights(2, 3, 2, at::kFloat);
  EXPECT_THAT(refusal(x.view({2, 2, 3}), {0, 2, 4}, weights), HasSubstr("x must be"));
  EXPECT_THAT(refusal(x, {0, 4}, weights), HasSubstr("offset must have 3"));
  EXPECT_THAT(refusal(x, {0}, {}), HasSubstr("weights must hold"));
  EXPECT_THAT(refusal(x, {0, 2, 5}, weights), HasSubstr("offset must run"));
  EXPECT_THAT(refusal(x, {1, 2, 4}, weights), HasSubstr("offset must run"));
  EXPECT_THAT(refusal(x, {0, 5, 4}, weights), HasSubstr("offset must not decrease"));
  weights[1] = at::randn({3, 5});
  EXPECT_THAT(refusal(x, {0, 2, 4}, weights), HasSubstr("weights[1]"));
}

TEST(GroupedLinear, RefusesWeightsOfATypeThatWouldBeRoundedUnasked) {
  EXPECT_THAT(refusal(at::randn({4, 3}), {0, 4}, random_weights(1, 3, 2, at::kDouble)), HasSubstr("weights[0]"));
  EXPECT_THAT(refusal(at::randn({4, 3}, at::kDouble), {0, 4}, random_weights(1, 3, 2, at::kFloat)),
              HasSubstr("weights[0]"));
}

}  // namespace
}  // namespace mformer::kernels
