// Schedule and AdamW against their formulas; what is trained and what is not.

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "core/model/losses.h"
#include "core/training/adamw.h"
#include "core/training/schedule.h"
#include "core/training/trainable.h"
#include "tests/support/tiny_model.h"
#include "tests/support/tolerance.h"

namespace mformer {
namespace {

using testing::relative_error;
using testing::tiny_ids;
using testing::tiny_model;

TEST(Schedule, WarmsUpInEqualStepsToThePeak) {
  const Schedule schedule{2.0, 4, 20, 0.1};
  EXPECT_DOUBLE_EQ(schedule.at(0), 0.5);
  EXPECT_DOUBLE_EQ(schedule.at(1), 1.0);
  EXPECT_DOUBLE_EQ(schedule.at(3), 2.0);
  EXPECT_DOUBLE_EQ(schedule.at(4), 2.0);
}

TEST(Schedule, FallsAlongACosineToItsFinalFraction) {
  const Schedule schedule{2.0, 4, 20, 0.1};
  EXPECT_NEAR(schedule.at(12), 2.0 * (0.1 + 0.9 * 0.5), 1e-12) << "half way";
  for (std::int64_t step = 5; step < 20; ++step) EXPECT_LT(schedule.at(step), schedule.at(step - 1)) << step;
  EXPECT_NEAR(schedule.at(20), 0.2, 1e-12);
  EXPECT_NEAR(schedule.at(500), 0.2, 1e-12);
}

TEST(Schedule, NeedsNoWarmUpAndTakesNothingButWarmUp) {
  EXPECT_DOUBLE_EQ((Schedule{3.0, 0, 10, 0.1}.at(0)), 3.0);
  EXPECT_DOUBLE_EQ((Schedule{3.0, 10, 10, 0.1}.at(9)), 3.0);
  EXPECT_TRUE(std::isfinite(Schedule({3.0, 1, 1, 0.0}).at(0)));
}

/// AdamW by its formula (arXiv 1711.05101, algorithm 2), one number at a time.
struct NaiveAdamW {
  double value, first = 0, second = 0;
  int steps = 0;
  void step(double grad, double rate, const AdamWOptions& o, bool decay) {
    ++steps;
    first = o.beta1 * first + (1 - o.beta1) * grad;
    second = o.beta2 * second + (1 - o.beta2) * grad * grad;
    const double m = first / (1 - std::pow(o.beta1, steps)), v = second / (1 - std::pow(o.beta2, steps));
    if (decay) value -= rate * o.weight_decay * value;
    value -= rate * m / (std::sqrt(v) + o.epsilon);
  }
};

class AdamWTest : public ::testing::TestWithParam<bool> {};

TEST_P(AdamWTest, FollowsItsFormula) {
  const bool decay = GetParam();
  at::manual_seed(31);
  AdamWOptions options;
  options.beta1 = 0.8;
  options.beta2 = 0.9;
  options.weight_decay = 0.3;
  const at::Tensor x = at::randn({50}, at::kDouble).set_requires_grad(true);
  AdamW optimizer({{"x", x, decay}}, options);
  std::vector<NaiveAdamW> expected;
  for (std::int64_t i = 0; i < 50; ++i) expected.push_back({x[i].item<double>()});
  for (int step = 0; step < 5; ++step) {
    const at::Tensor grad = at::randn({50}, at::kDouble);
    x.mutable_grad() = grad.clone();
    const double rate = 0.01 * (step + 1), scale = step == 2 ? 0.25 : 1.0;
    optimizer.step(rate, scale);
    for (std::int64_t i = 0; i < 50; ++i) expected[i].step(scale * grad[i].item<double>(), rate, options, decay);
  }
  EXPECT_EQ(optimizer.steps(), 5);
  for (std::int64_t i = 0; i < 50; ++i) EXPECT_NEAR(x[i].item<double>(), expected[i].value, 1e-14) << i;
}

INSTANTIATE_TEST_SUITE_P(Decay, AdamWTest, ::testing::Bool());

TEST(AdamW, TakesTheNormOfAllGradientsAsOneVector) {
  const at::Tensor a = at::zeros({2}).set_requires_grad(true), b = at::zeros({1}).set_requires_grad(true),
                   unused = at::zeros({3}).set_requires_grad(true);
  AdamW optimizer({{"a", a}, {"b", b}, {"unused", unused}}, {});
  EXPECT_EQ(optimizer.gradient_norm(), 0.0);
  a.mutable_grad() = at::tensor({3.0F, 0.0F});
  b.mutable_grad() = at::tensor({4.0F});
  EXPECT_NEAR(optimizer.gradient_norm(), 5.0, 1e-6);
  optimizer.clear_gradients();
  EXPECT_FALSE(a.grad().defined());
  EXPECT_EQ(optimizer.gradient_norm(), 0.0);
}

TEST(AdamW, MovesAParameterWithoutAGradientByItsMomentum) {
  const at::Tensor x = at::ones({1}, at::kDouble).set_requires_grad(true);
  AdamW optimizer({{"x", x, false}}, {});
  x.mutable_grad() = at::ones({1}, at::kDouble);
  optimizer.step(0.1);
  const double after_one = x.item<double>();
  optimizer.clear_gradients();
  optimizer.step(0.1);
  EXPECT_LT(x.item<double>(), after_one);
}

TEST(AdamW, KeepsTwoMomentsForEachTrainedWeightAndNothingElse) {
  Model model = tiny_model();
  const auto trained =
      make_trainable(model, [](const ParameterRef& ref) { return ref.part == ParameterRef::Part::router; });
  std::int64_t weights = 0;
  for (const TrainedParameter& parameter : trained) weights += parameter.tensor.numel();
  const AdamW optimizer(trained, {});
  EXPECT_EQ(optimizer.state_bytes(), 2 * 4 * weights);
  EXPECT_EQ(optimizer.state().size(), 2 * trained.size());
}

TEST(AdamW, KeepsFloat32MomentsForWeightsOfFewerBits) {
  const AdamW optimizer({{"x", at::zeros({3}, at::kBFloat16)}}, {});
  for (const auto& [name, moment] : optimizer.state()) EXPECT_EQ(moment.scalar_type(), at::kFloat) << name;
  EXPECT_EQ(optimizer.state_bytes(), 3 * 4 * 3);  // two moments and the master
}

TEST(AdamW, LosesNoStepThatIsSmallerThanWhatSixteenBitsTellApart) {
  // Neighbours of 1 in bfloat16 are 2⁻⁸ and 2⁻⁷ away; a hundred steps of 10⁻⁴ each, of a gradient that keeps its sign.
  for (const at::ScalarType type : {at::kBFloat16, at::kHalf}) {
    const at::Tensor narrow = at::ones({4}, type).set_requires_grad(true);
    const at::Tensor wide = at::ones({4}).set_requires_grad(true);
    AdamW rounded({{"x", narrow, false}}, {}), exact({{"x", wide, false}}, {});
    for (int step = 0; step < 100; ++step) {
      narrow.mutable_grad() = at::ones({4}, type);
      wide.mutable_grad() = at::ones({4});
      rounded.step(1e-4);
      exact.step(1e-4);
    }
    EXPECT_TRUE(at::equal(narrow.detach(), wide.detach().to(type))) << narrow;
    EXPECT_LT(narrow[0].item<double>(), 0.995);
  }
}

TEST(AdamW, MakesNoGradientForAParameterThatGotNone) {
  const at::Tensor x = at::ones({1}).set_requires_grad(true);
  AdamW optimizer({{"x", x}}, {});
  optimizer.step(0.1);
  EXPECT_FALSE(x.grad().defined());
}

TEST(MakeTrainable, LeavesFrozenModulesOutWhateverTheFilterSays) {
  Model model = tiny_model();
  model.blocks[0].mlp.modules[3].frozen = true;
  std::set<std::string> names;
  for (const auto& parameter : make_trainable(model, [](const ParameterRef&) { return true; }))
    names.insert(parameter.name);
  EXPECT_EQ(names.size(), parameters(model).size() - 3);
  for (const char* part : {".in", ".out", ".row"}) EXPECT_EQ(names.count("h.0.mlp.3" + std::string(part)), 0U);
  EXPECT_FALSE(model.blocks[0].mlp.modules[3].in.requires_grad());
  EXPECT_TRUE(model.blocks[0].mlp.modules[2].in.requires_grad());
}

TEST(MakeTrainable, TurnsGradientsOffForWhatTheFilterLeavesOut) {
  Model model = tiny_model();
  make_trainable(model, [](const ParameterRef&) { return true; });
  make_trainable(model, [](const ParameterRef& ref) { return ref.name == "wte"; });
  for (const ParameterRef& ref : parameters(model))
    EXPECT_EQ(ref.tensor->requires_grad(), ref.name == "wte") << ref.name;
  next_token_loss(logits_of(model, forward(model, tiny_ids(2, 6)).hidden), tiny_ids(2, 6)).backward();
  EXPECT_TRUE(model.wte.grad().defined());
  EXPECT_FALSE(model.blocks[0].mlp.modules[0].in.grad().defined());
  make_untrainable(model);
  EXPECT_FALSE(model.wte.requires_grad() || model.wte.grad().defined());
}

TEST(MakeTrainable, DecaysMatricesButNoNormsBiasesAndTemperatures) {
  for (const char* gate : {"mlp", "gmm"}) {
    Model model = tiny_model(testing::tiny_config(gate));
    for (const auto& parameter : make_trainable(model, [](const ParameterRef&) { return true; })) {
      const bool row = parameter.name.ends_with(".row");
      const bool vector = parameter.tensor.dim() == 1 && !row;
      EXPECT_EQ(parameter.decay, !vector) << parameter.name;
    }
  }
}

TEST(CountTrainable, CountsWeightsByWhatTheyAre) {
  Model model = tiny_model();
  model.blocks[1].att.modules[0].frozen = true;
  make_trainable(model, [](const ParameterRef&) { return true; });
  const TrainableCount count = count_trainable(model);
  EXPECT_EQ(count.att_modules, 7 * 2 * 16 * 8);
  EXPECT_EQ(count.mlp_modules, 10 * 2 * 16 * 12);
  EXPECT_EQ(count.module_rows, (7 + 10) * 8);
  EXPECT_EQ(count.router, 4 * (8 * 16 + 8));
  EXPECT_EQ(count.total(), size_of(model).weights - 2 * 16 * 8 - 8);
}

}  // namespace
}  // namespace mformer
