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

TEST(SoftmaxTopK, NamesWhatDoesNotFit) {
  EXPECT_THROW(softmax_top_k(at::zeros({2, 3}), 4), c10::Error);
  EXPECT_THROW(softmax_top_k(at::zeros({2, 3}), 0), c10::Error);
  EXPECT_THROW(softmax_top_k(at::zeros({3}), 1), c10::Error);
  EXPECT_THROW(softmax_top_k(at::zeros({2, 3}, at::kLong), 1), c10::Error);
}

}  // namespace
}  // namespace mformer::kernels
