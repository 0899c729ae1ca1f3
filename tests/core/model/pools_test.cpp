// Document pools: which documents there are, and that their tokens stay inside a pool in training.

#include "core/model/pools.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>

#include <numeric>
#include <set>

#include "core/model/forward.h"
#include "tests/support/tiny_model.h"
#include "tests/support/tolerance.h"

namespace mformer {
namespace {

using Lengths = std::vector<std::int64_t>;
constexpr std::int64_t kEnd = 60;

at::Generator generator(std::uint64_t seed) {
  return at::detail::createCPUGenerator(seed);
}

TEST(DocumentLengths, AreCutAfterEndOfTextAndAtTheEndsOfRows) {
  const at::Tensor inputs = at::tensor(Lengths{1, 2, kEnd, 3, 4, 5, kEnd, kEnd, 6, 7, 8, kEnd}, at::kLong).view({2, 6});
  EXPECT_EQ(document_lengths(inputs, kEnd), (Lengths{3, 3, 1, 1, 4}));
  EXPECT_EQ(document_lengths(inputs, -1), (Lengths{6, 6})) << "without an end of text a row is a document";
}

TEST(DrawDocuments, ConfinesAboutTheirShareAnewByTheGenerator) {
  const at::Tensor inputs = at::full({100, 40}, kEnd, at::kLong);
  PoolOptions options{2, 0.3, kEnd};
  const DocumentPools drawn = draw_documents(inputs, options, generator(1));
  ASSERT_EQ(drawn.confined.size(), 4000U);
  const auto confined = std::accumulate(drawn.confined.begin(), drawn.confined.end(), 0.0);
  EXPECT_NEAR(confined / 4000, 0.3, 0.037);  // five standard deviations
  EXPECT_EQ(draw_documents(inputs, options, generator(1)).confined, drawn.confined);
  EXPECT_NE(draw_documents(inputs, options, generator(2)).confined, drawn.confined);
  options.share = 1;
  EXPECT_EQ(draw_documents(inputs, options, generator(1)).confined, Lengths(4000, 1));
}

TEST(PoolMask, AllowsTheModulesThatADocumentUsesMost) {
  // Two documents of three tokens: the first uses modules 0 and 3, the second 1 and 2, by far more than noise can hide.
  at::Tensor probs = at::full({6, 5}, 1e-6);
  for (const auto& [token, module] : std::vector<std::pair<int, int>>{{0, 0}, {1, 3}, {2, 0}, {3, 1}, {4, 2}, {5, 2}}) {
    probs[token][module] = 1.0;
  }
  const at::Tensor mask = pool_mask(probs, 2, {3, {3, 3}, {1, 1}}, generator(1));  // a third of 5, rounded up
  const at::Tensor first = at::tensor({1, 0, 0, 1, 0}, at::kLong).to(at::kBool);
  const at::Tensor second = at::tensor({0, 1, 1, 0, 0}, at::kLong).to(at::kBool);
  EXPECT_TRUE(mask.narrow(0, 0, 3).equal(first.expand({3, 5}))) << mask;
  EXPECT_TRUE(mask.narrow(0, 3, 3).equal(second.expand({3, 5}))) << mask;
}

TEST(PoolMask, NeverAllowsFewerThanKAndAllWhereADocumentIsFree) {
  const at::Tensor probs = at::full({6, 5}, 0.2);
  const at::Tensor mask = pool_mask(probs, 2, {5, {4, 2}, {1, 0}}, generator(1));
  EXPECT_TRUE(mask.sum(1).equal(at::tensor({2, 2, 2, 2, 5, 5}, at::kLong)));
}

TEST(PoolMask, LetsNoiseDecideBetweenModulesOfLikeUse) {
  const at::Tensor probs = at::full({1, 16}, 1.0 / 16);
  at::Tensor seen = at::zeros({16}, at::kBool);
  for (std::uint64_t seed = 0; seed < 40; ++seed)
    seen.logical_or_(pool_mask(probs, 2, {8, {1}, {1}}, generator(seed))[0]);
  EXPECT_TRUE(seen.all().item<bool>()) << "a module that is never in a pool can't come back";
}

class PooledForward : public ::testing::Test {
 protected:
  PooledForward() : model_(testing::tiny_model()), ids_(testing::tiny_ids(3, 20)) {
    how_.training = true;
    how_.generator = generator(5);
    how_.pools = draw_documents(ids_, {2, 1.0, kEnd}, generator(7));
  }

  const RouterDecision& decision(const ForwardOutput& output) const { return output.routing[0].mlp.decision; }

  Model model_;
  at::Tensor ids_;
  ForwardOptions how_;
};

TEST_F(PooledForward, KeepsADocumentInsideItsPool) {
  const ForwardOutput output = forward(model_, ids_, how_);
  const ForwardOutput plain = forward(model_, ids_);
  std::int64_t first = 0;
  bool narrowed = false;
  for (const std::int64_t length : how_.pools->lengths) {
    const auto used = [&](const ForwardOutput& of) {
      const at::Tensor indices = decision(of).indices.narrow(0, first, length).contiguous();
      const auto* begin = indices.const_data_ptr<std::int64_t>();
      return std::set<std::int64_t>(begin, begin + indices.numel()).size();
    };
    EXPECT_LE(used(output), 3U) << "half of five modules, rounded up";
    narrowed = narrowed || used(plain) > 3;
    first += length;
  }
  EXPECT_TRUE(narrowed) << "without pools a document uses more";
}

TEST_F(PooledForward, TakesGatesFromASoftmaxOverThePoolAndLeavesTheProbabilitiesOfAll) {
  const RouterDecision pooled = decision(forward(model_, ids_, how_));
  EXPECT_LE(testing::relative_error(pooled.probs, pooled.logits.softmax(1)), testing::kFloat32);
  const at::Tensor raw = pooled.probs.gather(1, pooled.indices);
  EXPECT_TRUE(pooled.gates.ge(raw).all().item<bool>());
  // Both gates of a token are its probabilities over those of the pool.
  const at::Tensor ratio = pooled.gates / raw;
  EXPECT_LE(testing::relative_error(ratio.select(1, 0), ratio.select(1, 1)), testing::kFloat32);
}

TEST_F(PooledForward, RepeatsItsPoolsWithTheSameGenerator) {
  const at::Tensor once = forward(model_, ids_, how_).hidden;
  EXPECT_FALSE(once.equal(forward(model_, ids_).hidden));
  how_.generator = generator(5);
  EXPECT_TRUE(once.equal(forward(model_, ids_, how_).hidden));
}

TEST_F(PooledForward, LetsTheBalanceLossReachModulesOutsideThePool) {
  for (Module& module : model_.blocks[0].mlp.modules) module.row.set_requires_grad(true);
  const RouterDecision pooled = decision(forward(model_, ids_, how_));
  pooled.probs.square().sum().backward();
  for (const Module& module : model_.blocks[0].mlp.modules) {
    EXPECT_TRUE(module.row.grad().defined() && module.row.grad().ne(0).any().item<bool>());
  }
}

}  // namespace
}  // namespace mformer
