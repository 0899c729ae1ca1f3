// Cross-entropy without all logits, against the logits taken at once in float64.

#include "kernels/linear_cross_entropy.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include "tests/support/threads.h"
#include "tests/support/tolerance.h"

namespace mformer::kernels {
namespace {

using mformer::testing::relative_error;
using mformer::testing::ThreadCount;

struct Problem {
  at::Tensor hidden, weight, targets;
};

Problem problem(std::int64_t tokens, std::int64_t in, std::int64_t vocab, std::uint64_t seed) {
  at::manual_seed(seed);
  Problem p{at::randn({tokens, in}), at::randn({vocab, in}), at::randint(vocab, {tokens}, at::kLong)};
  p.targets[0] = kIgnoredTarget;
  return p;
}

at::Tensor at_once(const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& targets) {
  return at::cross_entropy_loss(hidden.mm(weight.t()), targets, {}, at::Reduction::Mean, kIgnoredTarget);
}

at::Tensor mean(const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& targets) {
  return linear_cross_entropy(hidden, weight, targets, targets.ne(kIgnoredTarget).sum().item<std::int64_t>());
}

using Function = at::Tensor (*)(const at::Tensor&, const at::Tensor&, const at::Tensor&);
/// Three times the loss, and its gradients.
std::vector<at::Tensor> run(const Problem& p, at::ScalarType hidden, at::ScalarType weight, Function function) {
  at::Tensor h = p.hidden.to(hidden).detach().clone().requires_grad_(true);
  at::Tensor w = p.weight.to(weight).detach().clone().requires_grad_(true);
  const at::Tensor loss = 3 * function(h, w, p.targets);
  loss.backward();
  return {loss, h.grad(), w.grad()};
}

TEST(LinearCrossEntropy, MatchesAllLogitsAtOnceInValueAndGradients) {
  // Below, at and beyond a chunk of tokens (510 at most, 48 at least).
  for (const auto& [tokens, in, vocab] :
       {std::array<std::int64_t, 3>{2, 8, 5}, {510, 20, 40}, {511, 33, 70}, {1100, 16, 31}, {300, 12, 9000}}) {
    const Problem p = problem(tokens, in, vocab, 3);
    const auto expected = run(p, at::kDouble, at::kDouble, at_once);
    const auto actual = run(p, at::kFloat, at::kFloat, mean);
    for (std::size_t i = 0; i < actual.size(); ++i) {
      EXPECT_LE(relative_error(actual[i], expected[i]), testing::kFloat32) << tokens << " " << vocab << " " << i;
    }
  }
}

TEST(LinearCrossEntropy, BFloat16FactorsKeepFloat32Logits) {
  Problem p = problem(300, 64, 90, 4);
  p.hidden = p.hidden.to(at::kBFloat16).to(at::kFloat) * 0.5;
  p.weight = p.weight.to(at::kBFloat16).to(at::kFloat) * 0.5;
  const auto expected = run(p, at::kDouble, at::kDouble, at_once);
  const auto actual = run(p, at::kBFloat16, at::kFloat, mean);
  EXPECT_LE(relative_error(actual[0], expected[0]), testing::kFloat32);  // nothing was rounded on the way to it
  EXPECT_LE(relative_error(actual[1], expected[1]), testing::kTwoBFloat16Roundings);
  EXPECT_LE(relative_error(actual[2], expected[2]), testing::kTwoBFloat16Roundings);
}

TEST(LinearCrossEntropy, SurvivesLogitsThatWouldOverflow) {
  Problem p = problem(50, 4, 9, 5);
  p.hidden = p.hidden * 300;
  const auto expected = run(p, at::kDouble, at::kDouble, at_once);
  const auto actual = run(p, at::kFloat, at::kFloat, mean);
  EXPECT_LE(relative_error(actual[0], expected[0]), testing::kFloat32);
  EXPECT_LE(relative_error(actual[1], expected[1]), testing::kFloat32);
}

TEST(LinearCrossEntropy, GivesEachTokensLossAndZeroForIgnoredOnes) {
  const Problem p = problem(513, 10, 30, 6);
  const at::Tensor losses = linear_cross_entropy_losses(p.hidden, p.weight, p.targets);
  const at::Tensor expected = at::cross_entropy_loss(p.hidden.to(at::kDouble).mm(p.weight.to(at::kDouble).t()),
                                                     p.targets, {}, at::Reduction::None, kIgnoredTarget);
  EXPECT_LE(relative_error(losses, expected), testing::kFloat32);
  EXPECT_EQ(losses[0].item<float>(), 0.0F);
}

TEST(LinearCrossEntropy, AnIgnoredTokenHasNoGradientAndAFrozenHeadNone) {
  const Problem p = problem(20, 8, 12, 7);
  const at::Tensor hidden = p.hidden.clone().requires_grad_(true);
  mean(hidden, p.weight, p.targets).backward();
  EXPECT_EQ(hidden.grad()[0].abs().sum().item<float>(), 0.0F);
  EXPECT_GT(hidden.grad()[1].abs().sum().item<float>(), 0.0F);
  EXPECT_FALSE(p.weight.grad().defined());
}

TEST(LinearCrossEntropy, IsZeroWithGradientsOfZeroWithoutAnyTarget) {
  Problem p = problem(3, 4, 5, 8);
  p.targets.fill_(kIgnoredTarget);
  const at::Tensor hidden = p.hidden.clone().requires_grad_(true), weight = p.weight.clone().requires_grad_(true);
  const at::Tensor loss = linear_cross_entropy(hidden, weight, p.targets, 7);
  loss.backward();
  EXPECT_EQ(loss.item<double>(), 0.0);
  EXPECT_EQ(hidden.grad().abs().max().item<double>(), 0.0);
  EXPECT_EQ(weight.grad().abs().max().item<double>(), 0.0);
}

TEST(LinearCrossEntropy, OfPartsWithOneDivisorAddsUpToTheWhole) {
  Problem p = problem(90, 12, 40, 8);
  p.targets.narrow(0, 20, 31).fill_(kIgnoredTarget);  // so that the parts have 19, 9 and 30 targets
  const auto counted = p.targets.ne(kIgnoredTarget).sum().item<std::int64_t>();
  const auto parts = [&](const at::Tensor& hidden, const at::Tensor& weight, std::int64_t rows) {
    at::Tensor sum = at::zeros({});
    for (std::int64_t first = 0; first < 90; first += rows) {
      sum = sum + linear_cross_entropy(hidden.narrow(0, first, rows), weight, p.targets.narrow(0, first, rows), counted);
    }
    sum.backward();
    return sum.detach();
  };
  const auto leaf = [](const at::Tensor& x) { return x.clone().requires_grad_(true); };
  const at::Tensor h1 = leaf(p.hidden), h3 = leaf(p.hidden), w1 = leaf(p.weight), w3 = leaf(p.weight);
  EXPECT_LE(relative_error(parts(h3, w3, 30), parts(h1, w1, 90)), testing::kFloat32);
  EXPECT_LE(relative_error(h3.grad(), h1.grad()), testing::kFloat32);
  EXPECT_LE(relative_error(w3.grad(), w1.grad()), testing::kFloat32);
}

TEST(LinearCrossEntropy, GivesTheSameBitsWhateverTheNumberOfThreads) {
  const Problem p = problem(700, 40, 300, 9);
  std::vector<at::Tensor> one;
  for (const int threads : {1, 2, 3}) {
    const ThreadCount count(threads);
    const auto now = run(p, at::kFloat, at::kFloat, mean);
    if (one.empty()) one = now;
    for (std::size_t i = 0; i < now.size(); ++i) EXPECT_TRUE(at::equal(now[i], one[i])) << threads << " " << i;
  }
}

TEST(LinearCrossEntropy, RefusesATargetOutsideTheVocabulary) {
  Problem p = problem(3, 4, 5, 10);
  p.targets[2] = 5;
  EXPECT_THROW(linear_cross_entropy(p.hidden, p.weight, p.targets, 2), c10::Error);
  p.targets[2] = -1;
  EXPECT_THROW(linear_cross_entropy(p.hidden, p.weight, p.targets, 2), c10::Error);
  p.targets[2] = 1;
  EXPECT_THROW(linear_cross_entropy(p.hidden, p.weight, p.targets, 0), c10::Error);
}

}  // namespace
}  // namespace mformer::kernels
