// A router's choice against softmax and topk of LibTorch.

#include "kernels/softmax_top_k.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/support/finite_difference.h"
#include "tests/support/tolerance.h"

namespace mformer::kernels {
namespace {

using mformer::testing::relative_error;

TEST(SoftmaxTopK, ChoosesWhatSoftmaxAndTopKChoose) {
  at::manual_seed(1);
  for (const std::int64_t modules : {1, 2, 16, 33, 256}) {
    for (std::int64_t k = 1; k <= std::min<std::int64_t>(modules, 4); ++k) {
      const at::Tensor logits = 3 * at::randn({70, modules});
      const auto [p, gates, chosen] = softmax_top_k(logits, k);
      const at::Tensor expected = at::softmax(logits.to(at::kDouble), 1);
      EXPECT_LE(relative_error(p, expected), testing::kFloat32);
      EXPECT_TRUE(at::equal(chosen, std::get<1>(expected.topk(k, 1)))) << modules << " " << k;
      EXPECT_TRUE(at::equal(gates, p.gather(1, chosen)));
    }
  }
}

TEST(SoftmaxTopK, TakesTheFirstOfEquals) {
  const auto [p, gates, chosen] = softmax_top_k(at::zeros({2, 5}), 3);
  EXPECT_TRUE(at::equal(chosen, at::arange(3, at::kLong).expand({2, 3})));
}

TEST(SoftmaxTopK, GradientsThroughProbabilitiesAndGatesMatchFiniteDifferences) {
  at::manual_seed(2);
  const at::Tensor logits = at::randn({6, 7}, at::kDouble).requires_grad_(true);
  const at::Tensor a = at::randn({6, 7}, at::kDouble), b = at::randn({6, 2}, at::kDouble);
  testing::expect_gradients_match_finite_differences(
      [&] {
        const auto [p, gates, chosen] = softmax_top_k(logits, 2);
        return at::cat({p * a, gates * b}, 1);
      },
      {logits});
}

TEST(SoftmaxTopK, Float32GradientsMatchFloat64AlsoWhereOnlyOneOutputIsUsed) {
  at::manual_seed(3);
  const at::Tensor logits = at::randn({100, 32}), a = at::randn({100, 32}), b = at::randn({100, 2});
  const auto gradient = [&](at::ScalarType dtype, bool probabilities, bool of_gates) {
    const at::Tensor x = logits.to(dtype).detach().clone().requires_grad_(true);
    const auto [p, gates, chosen] = softmax_top_k(x, 2);
    at::Tensor sum = at::zeros({}, dtype);
    if (probabilities) sum = sum + (p * a).sum();
    if (of_gates) sum = sum + (gates * b).sum();
    sum.backward();
    return x.grad();
  };
  for (const auto& [probabilities, gates] : {std::pair{true, true}, {true, false}, {false, true}}) {
    EXPECT_LE(relative_error(gradient(at::kFloat, probabilities, gates), gradient(at::kDouble, probabilities, gates)),
              testing::kFloat32);
  }
}

constexpr ChoiceForm kTopKFirst{true, false}, kRenormalised{false, true}, kBothForms{true, true};

TEST(SoftmaxTopK, GatesOfEveryFormChooseTheSameAndSumToOne) {
  at::manual_seed(4);
  for (const std::int64_t modules : {1, 5, 40, 256}) {
    for (std::int64_t k = 1; k <= std::min<std::int64_t>(modules, 8); ++k) {
      const at::Tensor logits = 3 * at::randn({70, modules});
      const at::Tensor wide = logits.to(at::kDouble);
      const auto [best, order] = wide.topk(k, 1);
      const at::Tensor expected = at::softmax(best, 1);
      for (const ChoiceForm form : {kTopKFirst, kRenormalised, kBothForms}) {
        const auto [p, gates, chosen] = softmax_top_k(logits, k, form);
        EXPECT_LE(relative_error(p, at::softmax(wide, 1)), testing::kFloat32);
        EXPECT_TRUE(chosen.equal(order));
        EXPECT_LE(relative_error(gates, expected), testing::kFloat32);
        const auto [p2, gates2, chosen2] = softmax_top_k(wide, k, form);
        EXPECT_TRUE(chosen2.equal(order));
        EXPECT_LE(relative_error(gates2, expected), testing::kFloat64);
      }
    }
  }
}

TEST(SoftmaxTopK, TopKFirstTellsModulesApartWhoseProbabilitiesAreNothing) {
  const at::Tensor logits = at::tensor({0.0F, -500.0F, -300.0F, -400.0F}).view({1, 4});
  const auto [p, gates, chosen] = softmax_top_k(logits, 3, kTopKFirst);
  EXPECT_TRUE(chosen.equal(at::tensor({0, 2, 3}, at::kLong).view({1, 3})));
  EXPECT_NEAR(gates[0][0].item<double>(), 1, 1e-7);
}

TEST(SoftmaxTopK, NormalisedGatesTakeTheFirstOfEquals) {
  for (const ChoiceForm form : {kTopKFirst, kRenormalised}) {
    const auto [p, gates, chosen] = softmax_top_k(at::zeros({2, 5}), 4, form);
    EXPECT_TRUE(chosen.equal(at::arange(4, at::kLong).expand({2, 4})));
    EXPECT_TRUE(gates.equal(at::full({2, 4}, 0.25)));
  }
}

TEST(SoftmaxTopK, GradientsOfNormalisedGatesMatchFiniteDifferences) {
  at::manual_seed(5);
  const at::Tensor a = at::randn({6, 7}, at::kDouble), b = at::randn({6, 3}, at::kDouble);
  for (const ChoiceForm form : {kTopKFirst, kRenormalised}) {
    const at::Tensor logits = at::randn({6, 7}, at::kDouble).requires_grad_(true);
    testing::expect_gradients_match_finite_differences(
        [&] {
          const auto [p, gates, chosen] = softmax_top_k(logits, 3, form);
          return at::cat({p * a, gates * b}, 1);
        },
        {logits});
  }
}

TEST(SoftmaxTopK, Float32GradientsOfNormalisedGatesMatchFloat64AlsoWhereOnlyOneOutputIsUsed) {
  at::manual_seed(6);
  const at::Tensor logits = at::randn({100, 32}), a = at::randn({100, 32}), b = at::randn({100, 4});
  const auto gradient = [&](at::ScalarType dtype, ChoiceForm form, bool probabilities, bool of_gates) {
    const at::Tensor x = logits.to(dtype, false, true).requires_grad_(true);
    const auto [p, gates, chosen] = softmax_top_k(x, 4, form);
    at::Tensor sum = at::zeros({}, dtype);
    if (probabilities) sum = sum + (p * a).sum();
    if (of_gates) sum = sum + (gates * b).sum();
    sum.backward();
    return x.grad();
  };
  for (const ChoiceForm form : {kTopKFirst, kRenormalised}) {
    for (const auto& [probabilities, gates] : {std::pair{true, true}, {true, false}, {false, true}}) {
      EXPECT_LE(relative_error(gradient(at::kFloat, form, probabilities, gates),
                               gradient(at::kDouble, form, probabilities, gates)),
                testing::kFloat32);
    }
  }
}

TEST(SoftmaxTopK, NamesWhatDoesNotFit) {
  EXPECT_THROW(softmax_top_k(at::zeros({2, 3}), 4), c10::Error);
  EXPECT_THROW(softmax_top_k(at::zeros({2, 3}), 0), c10::Error);
  EXPECT_THROW(softmax_top_k(at::zeros({3}), 1), c10::Error);
  EXPECT_THROW(softmax_top_k(at::zeros({2, 3}, at::kLong), 1), c10::Error);
}

}  // namespace
}  // namespace mformer::kernels
