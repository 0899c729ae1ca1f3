// Losses against loops over tokens and modules.

#include "core/model/losses.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/finite_difference.h"
#include "tests/support/tiny_model.h"
#include "tests/support/tolerance.h"

namespace mformer {
namespace {

RouterDecision random_decision(std::int64_t tokens, std::int64_t modules, std::int64_t k, double sharpness = 1.0) {
  at::manual_seed(21);
  RouterDecision decision;
  decision.logits = at::randn({tokens, modules}, at::kDouble) * sharpness;
  decision.probs = decision.logits.softmax(1);
  std::tie(decision.gates, decision.indices) = decision.probs.topk(k, 1);
  return decision;
}

struct Entropies {
  double conditional = 0, marginal = 0;
};

Entropies entropies(const RouterDecision& decision) {
  const std::int64_t tokens = decision.probs.size(0), modules = decision.probs.size(1);
  const auto p = decision.probs.accessor<double, 2>();
  Entropies result;
  for (std::int64_t m = 0; m < modules; ++m) {
    double mean = 0;
    for (std::int64_t t = 0; t < tokens; ++t) {
      mean += p[t][m] / static_cast<double>(tokens);
      if (p[t][m] > 0) result.conditional -= p[t][m] * std::log(p[t][m]) / static_cast<double>(tokens);
    }
    result.marginal -= mean * std::log(mean + 1e-8);
  }
  return result;
}

TEST(MutualInformationLoss, IsTheConditionalLessTheMarginalEntropy) {
  const RouterDecision decision = random_decision(40, 6, 2);
  const Entropies h = entropies(decision);
  EXPECT_NEAR(mutual_information_loss(decision).item<double>(), h.conditional - h.marginal, 1e-12);
}

TEST(MutualInformationLoss, StaysFiniteWhenModulesAreNeverChosen) {
  const RouterDecision decision = random_decision(40, 6, 2, 1e4);
  EXPECT_TRUE(std::isfinite(mutual_information_loss(decision).item<double>()));
}

TEST(MutualInformationLoss, IsLowestWhenSureTokensShareTheModulesEvenly) {
  RouterDecision sure = random_decision(4, 4, 1);
  sure.logits = 50.0 * at::eye(4, at::kDouble);
  sure.probs = sure.logits.softmax(1);
  EXPECT_NEAR(mutual_information_loss(sure).item<double>(), -std::log(4.0), 1e-6);
  RouterDecision same = sure;
  same.logits = 50.0 * at::eye(4, at::kDouble).narrow(0, 0, 1).expand({4, 4});
  same.probs = same.logits.softmax(1);
  EXPECT_NEAR(mutual_information_loss(same).item<double>(), 0.0, 1e-6);
}

TEST(SwitchLoss, IsTheBalanceOfMassAndHitsAndTheSizeOfTheLogits) {
  const RouterDecision decision = random_decision(40, 6, 2);
  const auto p = decision.probs.accessor<double, 2>();
  const auto z = decision.logits.accessor<double, 2>();
  const auto chosen = decision.indices.accessor<std::int64_t, 2>();
  double balance = 0, size = 0;
  for (std::int64_t m = 0; m < 6; ++m) {
    double mass = 0, hits = 0;
    for (std::int64_t t = 0; t < 40; ++t) {
      mass += p[t][m];
      for (std::int64_t c = 0; c < 2; ++c) hits += chosen[t][c] == m ? 1 : 0;
    }
    balance += (mass / 40) * (hits / 80);  // masses sum to the tokens, hits to the slots
  }
  for (std::int64_t t = 0; t < 40; ++t) {
    double sum = 0;
    for (std::int64_t m = 0; m < 6; ++m) sum += std::exp(z[t][m]);
    size += std::log(sum) * std::log(sum) / 40;
  }
  EXPECT_NEAR(switch_loss(decision).item<double>(), 6 * balance + 0.1 * size, 1e-12);
}

TEST(BalanceLoss, SumsTheChosenKindOverAllRouters) {
  const Model model = testing::tiny_model();
  const ForwardOutput output = forward(model, testing::tiny_ids(2, 9));
  for (const char* type : {"mi", "switch"}) {
    ModelConfig config = model.config;
    config.aux_loss_type = choice_from<BalanceLoss>(type).value();
    double expected = 0;
    for (const BlockTrace& block : output.routing) {
      for (const Kind kind : {Kind::att, Kind::mlp}) {
        const RouterDecision& decision = block.bank(kind).decision;
        const bool mi = config.aux_loss_type == BalanceLoss::mi;
        expected += (mi ? mutual_information_loss(decision) : switch_loss(decision)).item<double>();
      }
    }
    EXPECT_NEAR(balance_loss(config, output.routing).item<double>(), expected, 1e-5) << type;
  }
}

std::vector<BlockTrace> two_routers(const RouterDecision& att, const RouterDecision& mlp) {
  std::vector<BlockTrace> routing(1);
  routing[0].att.decision = att;
  routing[0].mlp.decision = mlp;
  return routing;
}

TEST(ConcentrationLoss, AddsBothEntropiesSoThatATaskSettlesOnFewModules) {
  const RouterDecision spread = random_decision(40, 6, 2), sharp = random_decision(30, 5, 2, 8.0);
  const Entropies a = entropies(spread), b = entropies(sharp);
  EXPECT_NEAR(concentration_loss(two_routers(spread, sharp), 0.5, 2.0).item<double>(),
              0.5 * (a.conditional + b.conditional) + 2.0 * (a.marginal + b.marginal), 1e-12);
}

TEST(ConcentrationLoss, IsLowerWhenFewerModulesAreUsed) {
  RouterDecision few = random_decision(40, 6, 2);
  few.logits = few.logits + at::tensor({4.0, 4.0, 0.0, 0.0, 0.0, 0.0}, at::kDouble);
  few.probs = few.logits.softmax(1);
  const RouterDecision many = random_decision(40, 6, 2);
  EXPECT_LT(concentration_loss(two_routers(few, few), 0, 1).item<double>(),
            concentration_loss(two_routers(many, many), 0, 1).item<double>());
  EXPECT_GT(mutual_information_loss(few).item<double>(), mutual_information_loss(many).item<double>())
      << "the balance loss wants the opposite";
}

TEST(Losses, HaveTheGradientsOfFiniteDifferences) {
  const at::Tensor logits = random_decision(7, 4, 2).logits.set_requires_grad(true);
  for (const auto& loss : {mutual_information_loss, switch_loss}) {
    testing::expect_gradients_match_finite_differences(
        [&] {
          RouterDecision decision;
          decision.logits = logits;
          decision.probs = logits.softmax(1);
          std::tie(decision.gates, decision.indices) = decision.probs.topk(2, 1);
          return loss(decision);
        },
        {logits});
    logits.mutable_grad().reset();
  }
}

TEST(CrossEntropy, IsTheMeanOverTargetsThatCount) {
  at::manual_seed(22);
  const at::Tensor logits = at::randn({2, 3, 5}, at::kDouble);
  const at::Tensor targets = at::tensor({1, -100, 4, 0, -100, -100}, at::kLong).view({2, 3});
  const at::Tensor log_probs = logits.log_softmax(2);
  const double expected = -(log_probs[0][0][1] + log_probs[0][2][4] + log_probs[1][0][0]).item<double>() / 3;
  EXPECT_NEAR(cross_entropy(logits, targets).item<double>(), expected, 1e-12);
}

TEST(NextTokenLoss, ShiftsTheLabelsByOne) {
  at::manual_seed(23);
  const at::Tensor logits = at::randn({2, 4, 5}, at::kDouble), ids = at::randint(0, 5, {2, 4}, at::kLong);
  double sum = 0;
  for (std::int64_t b = 0; b < 2; ++b) {
    for (std::int64_t t = 0; t < 3; ++t) {
      sum -= logits[b][t].log_softmax(0)[ids[b][t + 1].item<std::int64_t>()].item<double>();
    }
  }
  EXPECT_NEAR(next_token_loss(logits, ids).item<double>(), sum / 6, 1e-12);
}

}  // namespace
}  // namespace mformer
