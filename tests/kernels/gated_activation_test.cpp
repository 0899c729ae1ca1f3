// Gated activations against LibTorch in float64.

#include "kernels/gated_activation.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "kernels/row_steps.h"
#include "tests/support/finite_difference.h"
#include "tests/support/refusal.h"
#include "tests/support/threads.h"
#include "tests/support/tolerance.h"

namespace mformer::kernels {
namespace {

using mformer::testing::refusal;
using mformer::testing::relative_error;
using ::testing::HasSubstr;

struct KnownActivation {
  Activation activation;
  std::function<at::Tensor(const at::Tensor&)> formula;
};

const std::vector<KnownActivation>& known_activations() {
  static const std::vector<KnownActivation> known = {
      {Activation::gelu_tanh, [](const at::Tensor& x) { return at::gelu(x, "tanh"); }},
      {Activation::gelu, [](const at::Tensor& x) { return at::gelu(x); }},
      {Activation::relu, [](const at::Tensor& x) { return at::relu(x); }},
      {Activation::silu, [](const at::Tensor& x) { return at::silu(x); }},
      {Activation::tanh, [](const at::Tensor& x) { return at::tanh(x); }}};
  return known;
}

/// By autograd, in float64.
at::Tensor gated_formula(const KnownActivation& known, const at::Tensor& x) {
  const auto halves = x.chunk(2, 1);
  return known.formula(halves[0]) * halves[1];
}

TEST(GatedActivation, MatchesTheFormulaInEveryDtypeAndForInferenceToo) {
  at::manual_seed(1);
  for (const KnownActivation& known : known_activations()) {
    for (const std::int64_t hidden : {1, 15, 16, 17, 70, 512}) {
      for (const at::ScalarType dtype : {at::kDouble, at::kFloat, at::kBFloat16, at::kHalf}) {
        const at::Tensor x = (3 * at::randn({70, 2 * hidden})).to(dtype);
        const at::Tensor y = gated_activation(x, known.activation);
        const at::Tensor expected = gated_formula(known, x.to(at::kDouble));
        // gelu's erf is good to 1.5e-7 of 1.
        const double tolerance = dtype == at::kDouble  ? testing::kFloat64
                                 : dtype == at::kFloat ? 1e-6
                                 : hidden == 1         ? 1.0 / 256  // too few values for roundings to average out
                                                       : testing::kOneBFloat16Rounding;
        EXPECT_EQ(y.scalar_type(), dtype);
        EXPECT_LE(relative_error(y, expected), tolerance)
            << static_cast<int>(known.activation) << ' ' << hidden << ' ' << dtype;
        if (dtype != at::kFloat && dtype != at::kBFloat16) continue;
        const at::NoGradGuard no_grad;
        EXPECT_LE(relative_error(gated_activate(known.activation, x), expected), tolerance);
      }
    }
  }
}

TEST(GatedActivation, GradientsMatchFiniteDifferences) {
  at::manual_seed(2);
  for (const KnownActivation& known : known_activations()) {
    const at::Tensor x = (2 * at::randn({5, 14}, at::kDouble)).requires_grad_(true);
    testing::expect_gradients_match_finite_differences([&] { return gated_activation(x, known.activation); }, {x});
  }
}

TEST(GatedActivation, GradientsInFloat32AndBFloat16MatchThoseOfTheFormula) {
  at::manual_seed(3);
  for (const KnownActivation& known : known_activations()) {
    const at::Tensor x = (2 * at::randn({300, 140})).to(at::kBFloat16), grad = at::randn({300, 70}).to(at::kBFloat16);
    const at::Tensor wide = x.to(at::kDouble).requires_grad_(true);
    gated_formula(known, wide).backward(grad.to(at::kDouble));
    for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
      const at::Tensor leaf = x.to(dtype, false, true).requires_grad_(true);
      gated_activation(leaf, known.activation).backward(grad.to(dtype));
      EXPECT_EQ(leaf.grad().scalar_type(), dtype);
      EXPECT_LE(relative_error(leaf.grad(), wide.grad()), dtype == at::kFloat ? 1e-6 : testing::kOneBFloat16Rounding)
          << static_cast<int>(known.activation) << ' ' << dtype;
    }
  }
}

TEST(GatedActivation, StaysFiniteAtTheEndsOfTheRange) {
  for (const KnownActivation& known : known_activations()) {
    const at::Tensor gate = at::tensor({-1e30, -200.0, -90.0, -0.0, 0.0, 90.0, 200.0, 1e30}).view({-1, 1});
    const at::Tensor x = at::cat({gate, at::ones_like(gate)}, 1).to(at::kFloat).requires_grad_(true);
    const at::Tensor y = gated_activation(x, known.activation);
    y.sum().backward();
    EXPECT_LE(relative_error(y, gated_formula(known, x.to(at::kDouble))), 1e-6) << static_cast<int>(known.activation);
    EXPECT_TRUE(x.grad().isfinite().all().item<bool>()) << static_cast<int>(known.activation);
  }
}

TEST(GatedActivation, GivesTheSameBitsWithEveryNumberOfThreads) {
  at::manual_seed(4);
  const at::Tensor x = at::randn({999, 666}).requires_grad_(true), grad = at::randn({999, 333});
  const auto run = [&](int threads) {
    const testing::ThreadCount count(threads);
    x.mutable_grad().reset();
    const at::Tensor y = gated_activation(x, Activation::silu);
    y.backward(grad);
    return std::pair(y.detach(), x.grad());
  };
  const auto one = run(1);
  for (const int threads : {2, 3}) {
    const auto more = run(threads);
    EXPECT_TRUE(one.first.equal(more.first) && one.second.equal(more.second)) << threads;
  }
}

TEST(GatedActivation, TakesNoRowsAndStridedOnesAndRefusesWhatDoesNotFitByName) {
  EXPECT_EQ(gated_activation(at::zeros({0, 6}), Activation::silu).sizes(), at::IntArrayRef({0, 3}));
  const at::Tensor x = at::randn({6, 5});
  EXPECT_TRUE(gated_activation(x.t(), Activation::relu).equal(gated_activation(x.t().contiguous(), Activation::relu)));
  EXPECT_THAT(refusal([&] { gated_activation(x, Activation::relu); }), HasSubstr("x must be"));
  EXPECT_THAT(refusal([&] { gated_activation(at::ones({4}), Activation::relu); }), HasSubstr("x must be"));
  EXPECT_THAT(refusal([&] { gated_activation(at::ones({2, 4}, at::kInt), Activation::relu); }), HasSubstr("x must be"));
  EXPECT_THAT(refusal([&] { gated_activate(Activation::relu, x); }), HasSubstr("an even width"));
}

}  // namespace
}  // namespace mformer::kernels
