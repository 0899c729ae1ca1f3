// The steps between the products of inference against LibTorch in float64.

#include "kernels/row_steps.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/refusal.h"
#include "tests/support/tolerance.h"

namespace mformer::kernels {
namespace {

using mformer::testing::refusal;
using mformer::testing::relative_error;
using ::testing::HasSubstr;

/// Widths around the lanes of the partial sums, and one that vectors divide.
constexpr std::int64_t kWidths[] = {1, 2, 31, 32, 33, 70, 1024};

class RowStepsTest : public ::testing::TestWithParam<at::ScalarType> {
 protected:
  RowStepsTest() { at::manual_seed(5); }
  /// Rounding in float32; of a single value to bfloat16 (the narrowest rows have no others to average with).
  static double tolerance() { return GetParam() == at::kFloat ? 1e-6 : 1.0 / 256; }
  at::NoGradGuard no_grad_;
};

TEST_P(RowStepsTest, ActivatesByTheFormula) {
  const std::vector<std::pair<Activation, std::function<at::Tensor(const at::Tensor&)>>> known = {
      {Activation::gelu_tanh, [](const at::Tensor& x) { return at::gelu(x, "tanh"); }},
      {Activation::gelu, [](const at::Tensor& x) { return at::gelu(x); }},
      {Activation::relu, [](const at::Tensor& x) { return at::relu(x); }},
      {Activation::silu, [](const at::Tensor& x) { return at::silu(x); }},
      {Activation::tanh, [](const at::Tensor& x) { return at::tanh(x); }}};
  for (const auto& [activation, formula] : known) {
    for (const std::int64_t width : kWidths) {
      at::Tensor x = (3 * at::randn({300, width})).to(GetParam());
      const at::Tensor expected = formula(x.to(at::kDouble));
      activate(activation, x);
      EXPECT_LE(relative_error(x, expected), tolerance()) << static_cast<int>(activation) << " " << width;
    }
    at::Tensor extreme = at::tensor({-1e30, -200.0, -90.0, 0.0, 90.0, 200.0, 1e30}).to(GetParam());
    const at::Tensor expected = formula(extreme.to(at::kDouble));
    activate(activation, extreme);
    EXPECT_LE(relative_error(extreme, expected), tolerance()) << static_cast<int>(activation);
  }
}

TEST_P(RowStepsTest, NormalisesLayers) {
  for (const std::int64_t width : kWidths) {
    const at::Tensor x = at::randn({70, width}) * 3 + 1, weight = at::randn({width}), bias = at::randn({width});
    const auto in_double = [&](const at::Tensor& b) {
      return at::layer_norm(x.to(at::kDouble), {width}, weight.to(at::kDouble),
                            b.defined() ? b.to(at::kDouble) : at::Tensor(), 1e-5);
    };
    const at::Tensor y = layer_norm(x, weight, bias, GetParam());
    EXPECT_EQ(y.scalar_type(), GetParam());
    EXPECT_LE(relative_error(y, in_double(bias)), tolerance()) << width;
    EXPECT_LE(relative_error(layer_norm(x, weight, {}, GetParam()), in_double({})), tolerance()) << width;
  }
}

TEST_P(RowStepsTest, NormalisesByTheRootOfTheMeanSquare) {
  for (const std::int64_t width : kWidths) {
    const at::Tensor x = at::randn({70, width}) * 3 + 1, weight = at::randn({width});
    const at::Tensor wide = x.to(at::kDouble);
    const at::Tensor expected = weight * wide / (wide.square().mean({1}, true) + 1e-2).sqrt();
    const at::Tensor y = rms_norm(x, weight, 1e-2, GetParam());
    EXPECT_EQ(y.scalar_type(), GetParam());
    EXPECT_LE(relative_error(y, expected), tolerance()) << width;
  }
}

TEST_P(RowStepsTest, AddsWhatModulesPutOut) {
  const at::Tensor chosen = at::tensor({2, 0, 1, 2, 0, 1}, at::kLong).view({3, 2});
  const auto dispatch = plan_dispatch(chosen, 4);
  const at::Tensor rows = at::randn({6, 70}).to(GetParam()), gates = at::rand({3, 2});
  at::Tensor x = at::randn({3, 70});
  const at::Tensor expected =
      x.to(at::kDouble) + (slots_from_rows(rows, dispatch).to(at::kDouble) * gates.unsqueeze(2)).sum(1);
  const at::Tensor before = x.clone();
  add_combined(rows, gates, dispatch, x);
  EXPECT_LE(relative_error(x, expected), 1e-6);
  at::Tensor scaled = before.clone();
  add_combined(rows, gates, dispatch, scaled, 0.22);
  EXPECT_LE(relative_error(scaled - before, 0.22 * (expected - before)), 1e-6);
}

TEST_P(RowStepsTest, TakesRowsOfATable) {
  const at::Tensor table = at::randn({9, 33}).to(GetParam()), ids = at::tensor({8, 0, 8}, at::kLong);
  EXPECT_TRUE(kernels::embedding(table, table.size(1), ids).equal(table.index_select(0, ids).to(at::kFloat)));
}

INSTANTIATE_TEST_SUITE_P(DTypes, RowStepsTest, ::testing::Values(at::kFloat, at::kBFloat16),
                         [](const auto& instance) { return c10::toString(instance.param); });

TEST(RowSteps, ChoosesTheLargestProbabilitiesTheFirstOfEqualsFirst) {
  at::manual_seed(6);
  const at::Tensor logits = 4 * at::randn({100, 37});
  at::Tensor softmax = logits.clone();
  const Choice choice = choose(softmax, 5);
  const at::Tensor probabilities = at::softmax(logits.to(at::kDouble), 1);
  EXPECT_LE(relative_error(softmax, probabilities), 1e-6);
  EXPECT_TRUE(choice.modules.equal(std::get<1>(logits.topk(5, 1))));
  EXPECT_TRUE(choice.gates.equal(softmax.gather(1, choice.modules)));
  at::Tensor equal = at::zeros({1, 4});
  EXPECT_TRUE(choose(equal, 3).modules.equal(at::arange(3).view({1, 3})));
}

TEST(RowSteps, ChoosesLikeTheRouterInTrainingInEveryForm) {
  at::manual_seed(8);
  const at::Tensor logits = 4 * at::randn({100, 37});
  for (const ChoiceForm form : {ChoiceForm{}, ChoiceForm{true, false}, ChoiceForm{false, true}}) {
    at::Tensor softmax = logits.clone();
    const Choice choice = choose(softmax, 5, form);
    const auto [p, gates, chosen] = softmax_top_k(logits, 5, form);
    EXPECT_TRUE(softmax.equal(p) && choice.gates.equal(gates) && choice.modules.equal(chosen));
  }
}

TEST(RowSteps, NormalisesRowsAndLeavesZerosAlone) {
  at::manual_seed(7);
  at::Tensor x = at::randn({4, 70});
  x[2].zero_();
  const at::Tensor expected = x / x.norm(2, {1}, true).clamp_min(1e-12);
  normalize_rows(x);
  EXPECT_LE(relative_error(x, expected), 1e-6);
}

TEST(RowSteps, RefuseArgumentsThatDoNotFitByName) {
  at::Tensor x = at::randn({3, 4}), half = x.to(at::kHalf), turned = at::randn({4, 3}).t();
  const auto dispatch = plan_dispatch(at::zeros({3, 1}, at::kLong), 1);
  EXPECT_THAT(refusal([&] { activate(Activation::relu, half); }), HasSubstr("x must be float32 or bfloat16"));
  EXPECT_THAT(refusal([&] { activate(Activation::relu, turned); }), HasSubstr("x must be contiguous"));
  EXPECT_THAT(refusal([&] { layer_norm(x, at::ones({3}), {}, at::kFloat); }), HasSubstr("weight must be"));
  EXPECT_THAT(refusal([&] { layer_norm(x, at::ones({4}), at::ones({3}), at::kFloat); }), HasSubstr("bias must be"));
  EXPECT_THAT(refusal([&] { rms_norm(x, at::ones({3}), 1e-5, at::kFloat); }), HasSubstr("weight must be"));
  EXPECT_THAT(refusal([&] { rms_norm(x, at::ones({4}), -1, at::kFloat); }), HasSubstr("epsilon must be"));
  EXPECT_THAT(refusal([&] { gated_activate(Activation::silu, at::ones({2, 3})); }), HasSubstr("an even width"));
  EXPECT_THAT(refusal([&] { choose(x, 5); }), HasSubstr("k must be"));
  EXPECT_THAT(refusal([&] { choose(x, 5, {true, false}); }), HasSubstr("k must be"));
  EXPECT_THAT(refusal([&] { add_combined(at::randn({3, 5}), at::ones({3, 1}), dispatch, x); }), HasSubstr("rows must"));
  EXPECT_THAT(refusal([&] { add_combined(x, at::ones({3, 2}), dispatch, x); }), HasSubstr("gates must"));
  EXPECT_THAT(refusal([&] { kernels::embedding(x, x.size(1), at::tensor({3}, at::kLong)); }),
              HasSubstr("ids must be in"));
}

}  // namespace
}  // namespace mformer::kernels
