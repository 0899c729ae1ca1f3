// The forward pass against an independent, naive one; padding, cache, precision.

#include "core/model/forward.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "modules_registry/error.h"
#include "tests/support/naive_model.h"
#include "tests/support/threads.h"
#include "tests/support/tiny_model.h"
#include "tests/support/tolerance.h"

namespace mformer {
namespace {

using ::testing::HasSubstr;
using testing::naive_forward;
using testing::relative_error;
using testing::ThreadCount;
using testing::tiny_config;
using testing::tiny_ids;
using testing::tiny_model;
using ::testing::Values;

/// Sums of some hundred products in float64, through two layers.
constexpr double kDoubleLayers = 1e-10;

void expect_naive(Model model, const std::optional<at::Tensor>& mask = std::nullopt) {
  convert(model, at::kDouble);
  const at::Tensor ids = tiny_ids(2, 13);
  ForwardOptions how;
  how.attention_mask = mask;
  EXPECT_LE(relative_error(forward(model, ids, how).hidden, naive_forward(model, ids, std::nullopt, mask)),
            kDoubleLayers);
}

class ForwardOfEveryGate : public ::testing::TestWithParam<std::string> {};

TEST_P(ForwardOfEveryGate, MatchesTheNaiveModel) {
  expect_naive(tiny_model(tiny_config(GetParam())));
}

TEST_P(ForwardOfEveryGate, MatchesTheNaiveModelWithoutKeyAndValueProjections) {
  ModelConfig config = tiny_config(GetParam());
  config.n_head = 1;
  config.att_hidden = config.n_embd;
  ASSERT_FALSE(config.has_kv_projection());
  expect_naive(tiny_model(config));
}

TEST_P(ForwardOfEveryGate, MatchesTheNaiveModelWithPaddedKeys) {
  at::Tensor mask = at::ones({2, 13}, at::kBool);
  mask[0].narrow(0, 0, 4).fill_(false);
  mask[1].narrow(0, 9, 4).fill_(false);
  expect_naive(tiny_model(tiny_config(GetParam())), mask);
}

TEST_P(ForwardOfEveryGate, MatchesTheNaiveModelWhereLayersDiffer) {
  ModelConfig config = tiny_config(GetParam());
  config.set_expert_counts({2, 6}, {7, 3});
  const Model model = tiny_model(config);
  ASSERT_EQ(model.blocks[1].att.modules.size(), 6U);
  ASSERT_EQ(model.blocks[1].mlp.modules.size(), 3U);
  expect_naive(model);
}

TEST_P(ForwardOfEveryGate, GivesTheSameLogitsThroughTheCacheInChunksOfAnySize) {
  const at::NoGradGuard no_grad;
  Model model = tiny_model(tiny_config(GetParam()));
  convert(model, at::kDouble);
  const at::Tensor ids = tiny_ids(2, 150), whole = forward(model, ids).hidden;
  for (const std::vector<std::int64_t>& chunks : {std::vector<std::int64_t>(150, 1), std::vector<std::int64_t>{149, 1},
                                                  std::vector<std::int64_t>{1, 63, 1, 64, 21}}) {
    KeyValueCache cache;
    ForwardOptions how;
    how.cache = &cache;
    std::vector<at::Tensor> parts;
    for (const std::int64_t tokens : chunks) {
      parts.push_back(forward(model, ids.narrow(1, cache.length(), tokens), how).hidden);
    }
    ASSERT_EQ(cache.length(), 150);
    EXPECT_LE(relative_error(at::cat(parts, 1), whole), kDoubleLayers);
  }
}

TEST_P(ForwardOfEveryGate, IsCloseInBFloat16) {
  const Model model = tiny_model(tiny_config(GetParam()));
  const at::Tensor ids = tiny_ids(2, 20);
  ForwardOptions how;
  how.bfloat16 = true;
  const at::Tensor exact = logits_of(model, forward(model, ids).hidden);
  const at::Tensor autocast = logits_of(model, forward(model, ids, how).hidden, true);
  EXPECT_EQ(autocast.scalar_type(), at::kFloat);
  EXPECT_LE(relative_error(autocast, exact), testing::kBFloat16);
  EXPECT_FALSE(autocast.equal(exact)) << "the option has no effect";
}

INSTANTIATE_TEST_SUITE_P(Gates, ForwardOfEveryGate, Values("mlp", "linear", "gmm"),
                         [](const auto& instance) { return instance.param; });

class ForwardOfEveryActivation : public ::testing::TestWithParam<std::string> {};

TEST_P(ForwardOfEveryActivation, MatchesItsFormula) {
  ModelConfig config = tiny_config();
  config.activation_function = choice_from<ActivationFunction>(GetParam()).value();
  expect_naive(tiny_model(config));
}

INSTANTIATE_TEST_SUITE_P(Activations, ForwardOfEveryActivation, Values("gelu_new", "gelu", "relu", "silu", "tanh"),
                         [](const auto& instance) { return instance.param; });

class ForwardOfEveryK : public ::testing::TestWithParam<std::int64_t> {};

TEST_P(ForwardOfEveryK, MatchesTheNaiveModel) {
  ModelConfig config = tiny_config();
  config.k_att = config.k_mlp = GetParam();
  expect_naive(tiny_model(config));
}

INSTANTIATE_TEST_SUITE_P(Ks, ForwardOfEveryK, Values(1, 2, 3, 4));

TEST(Forward, IgnoresTheLayerNormEpsilonOfTheConfig) {
  ModelConfig config = tiny_config();
  config.layer_norm_epsilon = 0.5;
  expect_naive(tiny_model(config));
}

TEST(Forward, DoesNotLetTheFutureChangeThePast) {
  const Model model = tiny_model();
  const at::Tensor ids = tiny_ids(1, 70), changed = ids.clone();
  changed[0][69] = (ids[0][69].item<std::int64_t>() + 1) % 61;
  const at::Tensor a = forward(model, ids).hidden, b = forward(model, changed).hidden;
  EXPECT_LE(relative_error(a.narrow(1, 0, 69), b.narrow(1, 0, 69)), 1e-6);
  EXPECT_FALSE(a.select(1, 69).equal(b.select(1, 69)));
}

TEST(Forward, GivesTheRealTokensOfAPaddedRowTheirUnpaddedResult) {
  Model model = tiny_model();
  convert(model, at::kDouble);
  const at::Tensor ids = tiny_ids(1, 20), alone = forward(model, ids.narrow(1, 0, 12)).hidden;
  at::Tensor mask = at::ones({1, 20}, at::kBool);
  mask[0].narrow(0, 12, 8).fill_(false);
  ForwardOptions how;
  how.attention_mask = mask;
  EXPECT_LE(relative_error(forward(model, ids, how).hidden.narrow(1, 0, 12), alone), kDoubleLayers) << "right";
  const at::Tensor shifted = at::cat({ids.narrow(1, 12, 8), ids.narrow(1, 0, 12)}, 1);
  how.attention_mask = mask.flip(1);
  EXPECT_LE(relative_error(forward(model, shifted, how).hidden.narrow(1, 8, 12), alone), kDoubleLayers) << "left";
}

TEST(Forward, TakesAMaskThatCoversTheCachedTokensToo) {
  const at::NoGradGuard no_grad;
  Model model = tiny_model();
  convert(model, at::kDouble);
  const at::Tensor ids = tiny_ids(1, 12);
  at::Tensor mask = at::ones({1, 12}, at::kBool);
  mask[0].narrow(0, 0, 3).fill_(false);
  ForwardOptions how;
  how.attention_mask = mask;
  const at::Tensor whole = forward(model, ids, how).hidden;
  KeyValueCache cache;
  how.cache = &cache;
  how.attention_mask = mask.narrow(1, 0, 8);
  forward(model, ids.narrow(1, 0, 8), how);
  how.attention_mask = mask;
  EXPECT_LE(relative_error(forward(model, ids.narrow(1, 8, 4), how).hidden, whole.narrow(1, 8, 4)), kDoubleLayers);
}

TEST(Forward, KeepsTheHiddenStatesAndNormsThatItIsAskedFor) {
  const Model model = tiny_model();
  ForwardOptions how;
  how.hidden_states = how.norms = true;
  const at::Tensor ids = tiny_ids(2, 5);
  const ForwardOutput output = forward(model, ids, how);
  ASSERT_EQ(output.hidden_states.size(), 3U);
  EXPECT_TRUE(output.hidden_states[0].equal(at::embedding(model.wte, ids)));
  EXPECT_TRUE(output.hidden_states[2].equal(output.hidden));
  const BankTrace& last = output.routing[1].mlp;
  // The last block adds Σ gate · output, so with one module the norm could be read off; here it bounds the change.
  EXPECT_EQ(last.output_norms.sizes(), at::IntArrayRef({10, 2}));
  EXPECT_TRUE(last.output_norms.gt(0).all().item<bool>());
  EXPECT_FALSE(forward(model, ids).routing[1].mlp.output_norms.defined());
}

TEST(Forward, MeasuresTheNormOfEachChosenModulesOutput) {
  Model model = tiny_model();
  convert(model, at::kDouble);
  ForwardOptions how;
  how.norms = how.hidden_states = true;
  const ForwardOutput output = forward(model, tiny_ids(1, 6), how);
  // The input of the last block's feed-forward half is not kept, but the first block's attention reads LN(wte).
  const at::Tensor x = testing::naive_norm(output.hidden_states[0], model.blocks[0].ln_1);
  const auto heads = [](const at::Tensor& y) { return y.view({1, 6, 2, 4}); };
  const auto linear = [&](const Affine& p) { return heads(x.matmul(p.weight.t()) + p.bias); };
  const RouterDecision& decision = output.routing[0].att.decision;
  for (std::int64_t t = 0; t < 6; ++t) {
    for (std::int64_t c = 0; c < 2; ++c) {
      const Module& module = model.blocks[0].att.modules[decision.indices[t][c].item<std::int64_t>()];
      const at::Tensor query = heads(x.matmul(module.in)).unsqueeze(2);
      const at::Tensor read =
          testing::naive_attention(query, linear(model.blocks[0].k_proj), linear(model.blocks[0].v_proj));
      const double norm = read[0][t][0].flatten().matmul(module.out).norm().item<double>();
      EXPECT_NEAR(output.routing[0].att.output_norms[t][c].item<double>(), norm, 1e-6 * norm);
    }
  }
}

TEST(Forward, UsesTheEmbeddingAsHeadWhereTheyAreTied) {
  ModelConfig config = tiny_config();
  config.tie_word_embeddings = true;
  const Model model = tiny_model(config);
  const at::Tensor hidden = forward(model, tiny_ids(1, 4)).hidden;
  EXPECT_LE(relative_error(logits_of(model, hidden), hidden.matmul(model.wte.t())), testing::kFloat32);
}

TEST(Forward, RefusesInputsThatAreNoTokens) {
  const Model model = tiny_model();
  const auto refusal = [&](const at::Tensor& ids, const ForwardOptions& how = {}) -> std::string {
    try {
      forward(model, ids, how);
    } catch (const Error& e) {
      return e.what();
    }
    return "nothing was refused";
  };
  EXPECT_THAT(refusal(at::full({1, 2}, 61, at::kLong)), HasSubstr("token id 61 is outside"));
  EXPECT_THAT(refusal(at::full({1, 2}, -1, at::kLong)), HasSubstr("token id -1 is outside"));
  EXPECT_THAT(refusal(at::zeros({1, 0}, at::kLong)), HasSubstr("not empty"));
  EXPECT_THAT(refusal(at::zeros({2}, at::kLong)), HasSubstr("[batch, tokens]"));
  EXPECT_THAT(refusal(at::zeros({1, 2})), HasSubstr("int64"));
  ForwardOptions how;
  how.attention_mask = at::ones({1, 3}, at::kBool);
  EXPECT_THAT(refusal(tiny_ids(1, 2), how), HasSubstr("attention_mask must be"));
}

TEST(Forward, RefusesACacheOfAnotherBatch) {
  const at::NoGradGuard no_grad;
  const Model model = tiny_model();
  KeyValueCache cache;
  ForwardOptions how;
  how.cache = &cache;
  forward(model, tiny_ids(2, 3), how);
  EXPECT_THROW(forward(model, tiny_ids(1, 1), how), Error);
}

TEST(Forward, GivesTheSameBitsInEveryRunOfOneThreadCount) {
  const Model model = tiny_model();
  const at::Tensor ids = tiny_ids(4, 70);
  for (const int threads : {1, 2}) {
    const ThreadCount count(threads);
    EXPECT_TRUE(forward(model, ids).hidden.equal(forward(model, ids).hidden)) << threads;
  }
}

}  // namespace
}  // namespace mformer
