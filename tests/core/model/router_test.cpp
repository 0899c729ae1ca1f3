// Routers: which modules a token gets, and with what weight.

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>

#include "core/model/forward.h"
#include "tests/support/naive_model.h"
#include "tests/support/tiny_model.h"
#include "tests/support/tolerance.h"

namespace mformer {
namespace {

using testing::relative_error;
using testing::tiny_config;
using testing::tiny_model;
using ::testing::Values;

ForwardOptions training(std::uint64_t seed) {
  ForwardOptions how;
  how.training = true;
  how.generator = at::detail::createCPUGenerator(seed);
  return how;
}

at::Tensor random_tokens(std::int64_t tokens) {
  at::manual_seed(11);
  return at::randn({tokens, tiny_config().n_embd});
}

class RouterOfEveryGate : public ::testing::TestWithParam<std::string> {
 protected:
  ModelConfig config_ = tiny_config(GetParam());
  ModuleBank bank_ = tiny_model(config_).blocks[0].mlp;
};

TEST_P(RouterOfEveryGate, ComputesItsLogitsByTheFormula) {
  const at::Tensor x = random_tokens(30);
  const RouterDecision decision = route(config_, bank_, x, {});
  EXPECT_LE(relative_error(decision.logits, testing::naive_logits(config_, bank_, x.to(at::kDouble))),
            testing::kFloat32);
}

TEST_P(RouterOfEveryGate, ChoosesTheLargestProbabilitiesAndKeepsThemAsTheyAre) {
  const at::Tensor x = random_tokens(200);
  const RouterDecision decision = route(config_, bank_, x, {});
  EXPECT_LE(relative_error(decision.probs.sum(1), at::ones({200})), 1e-6);
  const auto [sorted, order] = decision.probs.sort(1, /*descending=*/true);
  EXPECT_TRUE(decision.gates.equal(sorted.narrow(1, 0, 2))) << "the largest, in descending order, not renormalised";
  EXPECT_TRUE(decision.gates.equal(decision.probs.gather(1, decision.indices)));
  EXPECT_LT(decision.gates.sum(1).max().item<double>(), 1.0);
}

TEST_P(RouterOfEveryGate, SamplesOnlyInTraining) {
  config_.sample_topk = 1;
  const at::Tensor x = random_tokens(200);
  ModelConfig plain = config_;
  plain.sample_topk = 0;
  EXPECT_TRUE(route(config_, bank_, x, {}).indices.equal(route(plain, bank_, x, {}).indices));
  EXPECT_FALSE(route(config_, bank_, x, training(1)).indices.equal(route(plain, bank_, x, {}).indices));
}

INSTANTIATE_TEST_SUITE_P(Gates, RouterOfEveryGate, Values("mlp", "linear", "gmm"),
                         [](const auto& instance) { return instance.param; });

TEST(SampledRouter, KeepsTheBestAndDrawsTheRestWithoutRepeating) {
  ModelConfig config = tiny_config();
  config.k_att = config.k_mlp = 3;
  const at::Tensor x = random_tokens(300);
  for (const std::int64_t drawn : {1, 2, 3}) {
    config.sample_topk = drawn;
    const ModuleBank bank = tiny_model(config).blocks[0].mlp;
    const RouterDecision decision = route(config, bank, x, training(3));
    ASSERT_EQ(decision.indices.sizes(), at::IntArrayRef({300, 3}));
    const at::Tensor best = std::get<1>(decision.probs.topk(3, 1));
    const std::int64_t fixed = 3 - drawn;
    EXPECT_TRUE(decision.indices.narrow(1, 0, fixed).equal(best.narrow(1, 0, fixed)));
    const at::Tensor sorted = std::get<0>(decision.indices.sort(1));
    EXPECT_TRUE(sorted.narrow(1, 0, 2).lt(sorted.narrow(1, 1, 2)).all().item<bool>()) << "a module came twice";
    EXPECT_TRUE(decision.gates.equal(decision.probs.gather(1, decision.indices))) << "gates are the raw p";
  }
}

TEST(SampledRouter, DrawsEachModuleAsOftenAsItsProbabilitySays) {
  ModelConfig config = tiny_config();
  config.k_mlp = 1;
  config.sample_topk = 1;
  const ModuleBank bank = tiny_model(config).blocks[0].mlp;
  constexpr std::int64_t kDraws = 20000;
  const at::Tensor x = random_tokens(1).expand({kDraws, -1});
  const RouterDecision decision = route(config, bank, x, training(4));
  const at::Tensor share = at::bincount(decision.indices.flatten(), {}, 5).to(at::kDouble) / kDraws;
  // Five standard deviations of a share are at most 5 · 0.5 / √20000 < 0.018.
  EXPECT_LT((share - decision.probs[0]).abs().max().item<double>(), 0.018);
}

TEST(SampledRouter, RepeatsItsDrawsWithTheSameSeed) {
  ModelConfig config = tiny_config();
  config.sample_topk = 1;
  const ModuleBank bank = tiny_model(config).blocks[0].mlp;
  const at::Tensor x = random_tokens(200);
  const at::Tensor first = route(config, bank, x, training(5)).indices;
  EXPECT_TRUE(first.equal(route(config, bank, x, training(5)).indices));
  EXPECT_FALSE(first.equal(route(config, bank, x, training(6)).indices));
}

TEST(SampledRouter, LetsGradientsReachTheLogitsThroughTheGates) {
  ModelConfig config = tiny_config();
  config.sample_topk = 2;
  ModuleBank bank = tiny_model(config).blocks[0].mlp;
  for (Module& module : bank.modules) module.row.set_requires_grad(true);
  route(config, bank, random_tokens(50), training(7)).gates.sum().backward();
  EXPECT_TRUE(bank.modules[0].row.grad().ne(0).any().item<bool>());
}

}  // namespace
}  // namespace mformer
