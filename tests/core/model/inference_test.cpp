// A model prepared for inference against the model as it was loaded.

#include "core/model/inference.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "modules_registry/error.h"
#include "tests/support/threads.h"
#include "tests/support/tiny_model.h"
#include "tests/support/tolerance.h"

namespace mformer {
namespace {

using ::testing::HasSubstr;
using testing::relative_error;
using testing::ThreadCount;
using testing::tiny_config;
using testing::tiny_ids;
using testing::tiny_model;

PreparedModel prepared(Model model, at::ScalarType dtype) {
  return prepare_for_inference(std::move(model), dtype);
}

template <typename AnyModel>
at::Tensor logits(const AnyModel& model, const at::Tensor& ids, const ForwardOptions& how = {}) {
  return logits_of(model, forward(model, ids, how).hidden);
}

/// The module with its matrices quantised, and the one that has what the codes stand for.
void quantise(Module& module, Module& widened) {
  std::tie(module.in, module.in_scale) = kernels::quantize_int8(module.in);
  std::tie(module.out, module.out_scale) = kernels::quantize_int8(module.out);
  widened.in = module.in.to(at::kFloat) * module.in_scale;
  widened.out = module.out.to(at::kFloat) * module.out_scale;
}

class PreparedModelOfEveryGate : public ::testing::TestWithParam<std::string> {
 protected:
  at::NoGradGuard no_grad_;
  Model model_ = tiny_model(tiny_config(GetParam()));
  at::Tensor ids_ = tiny_ids(3, 20);
};

TEST_P(PreparedModelOfEveryGate, GivesTheLogitsOfTheModelInFloat32) {
  EXPECT_LE(relative_error(logits(prepared(model_, at::kFloat), ids_), logits(model_, ids_)), testing::kFloat32);
}

TEST_P(PreparedModelOfEveryGate, GivesTheLogitsWithoutKeyAndValueProjections) {
  ModelConfig config = tiny_config(GetParam());
  config.n_head = 1;
  config.att_hidden = config.n_embd;
  const Model model = tiny_model(config);
  EXPECT_LE(relative_error(logits(prepared(model, at::kFloat), ids_), logits(model, ids_)), testing::kFloat32);
}

TEST_P(PreparedModelOfEveryGate, IsCloseInBFloat16) {
  const at::Tensor exact = logits(model_, ids_), rounded = logits(prepared(model_, at::kBFloat16), ids_);
  EXPECT_EQ(rounded.scalar_type(), at::kFloat);
  EXPECT_LE(relative_error(rounded, exact), testing::kBFloat16);
  EXPECT_FALSE(rounded.equal(exact)) << "the dtype has no effect";
}

TEST_P(PreparedModelOfEveryGate, KeepsQuantisedModulesAsTheyAre) {
  Model widened = model_, quantised = model_;
  for (std::size_t l = 0; l < model_.blocks.size(); ++l) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      auto& from = quantised.blocks[l].bank(kind).modules;
      for (std::size_t m = 0; m < from.size(); ++m) quantise(from[m], widened.blocks[l].bank(kind).modules[m]);
    }
  }
  const at::Tensor expected = logits(widened, ids_);
  EXPECT_LE(relative_error(logits(quantised, ids_), expected), testing::kFloat32) << "as it was loaded";
  const PreparedModel packed = prepared(quantised, at::kFloat);
  EXPECT_EQ(packed.blocks[1].mlp.in[0].dtype, at::kChar);
  EXPECT_LE(relative_error(logits(packed, ids_), expected), testing::kFloat32);
}

TEST_P(PreparedModelOfEveryGate, DecodesFromTheCacheWhatItGivesForTheWholeText) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16, at::kChar}) {
    const PreparedModel model = prepared(model_, dtype);
    const at::Tensor whole = logits(model, ids_);
    for (const std::int64_t room : {0, 3, 20, 100}) {
      KeyValueCache cache(room);
      ForwardOptions how;
      how.cache = &cache;
      std::vector<at::Tensor> parts = {logits(model, ids_.narrow(1, 0, 7), how)};
      while (cache.length() < 20) parts.push_back(logits(model, ids_.narrow(1, cache.length(), 1), how));
      EXPECT_LE(relative_error(at::cat(parts, 1), whole), dtype == at::kFloat ? testing::kFloat32 : testing::kBFloat16);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Gates, PreparedModelOfEveryGate, ::testing::Values("mlp", "linear", "gmm"),
                         [](const auto& instance) { return instance.param; });

TEST(PreparedModel, KnowsEveryActivation) {
  const at::NoGradGuard no_grad;
  for (const char* name : {"gelu_new", "gelu", "relu", "silu", "tanh"}) {
    ModelConfig config = tiny_config();
    config.activation_function = choice_from<ActivationFunction>(name).value();
    const Model model = tiny_model(config);
    EXPECT_LE(relative_error(logits(prepared(model, at::kFloat), tiny_ids(1, 9)), logits(model, tiny_ids(1, 9))),
              testing::kFloat32)
        << name;
  }
}

TEST(PreparedModel, QuantisesModulesAndHeadIfAsked) {
  const at::NoGradGuard no_grad;
  const Model model = tiny_model();
  const PreparedModel int8 = prepared(model, at::kChar);
  EXPECT_EQ(int8.head.bits, 8);
  EXPECT_EQ(int8.blocks[0].att.out[3].bits, 8);
  EXPECT_EQ(int8.blocks[0].k_proj.bits, 8);
  EXPECT_EQ(int8.blocks[0].att.router.dtype, at::kBFloat16);
  // An eight-bit code is about as exact as bfloat16's eight bits of mantissa.
  EXPECT_LE(relative_error(logits(int8, tiny_ids(1, 9)), logits(model, tiny_ids(1, 9))), testing::kBFloat16);
}

TEST(PreparedModel, InFourBitsKeepsTheHeadInEight) {
  const at::NoGradGuard no_grad;
  const Model model = tiny_model();
  const PreparedModel int4 = prepared(model, kInt4);
  EXPECT_EQ(int4.head.bits, 8);
  EXPECT_EQ(int4.blocks[1].mlp.in[0].bits, 4);
  EXPECT_LE(relative_error(logits(int4, tiny_ids(1, 9)), logits(model, tiny_ids(1, 9))), 0.25);
}

TEST(PreparedModel, RefusesToQuantiseWhatNoCodeStandsFor) {
  Model model = tiny_model();
  model.blocks[1].mlp.modules[0].out = model.blocks[1].mlp.modules[0].out.clone();
  model.blocks[1].mlp.modules[0].out[0][0] = 1e9;
  for (const at::ScalarType dtype : {at::kChar, kInt4}) {
    try {
      prepared(model, dtype);
      FAIL();
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("no code of"));
    }
  }
}

TEST(PreparedModel, ObeysTheMaskAndKeepsHiddenStates) {
  const at::NoGradGuard no_grad;
  const Model model = tiny_model();
  ForwardOptions how;
  how.hidden_states = true;
  how.attention_mask = at::ones({1, 12}, at::kBool);
  (*how.attention_mask)[0].narrow(0, 0, 3).fill_(false);
  const ForwardOutput expected = forward(model, tiny_ids(1, 12), how);
  const ForwardOutput actual = forward(prepared(model, at::kFloat), tiny_ids(1, 12), how);
  ASSERT_EQ(actual.hidden_states.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_LE(relative_error(actual.hidden_states[i], expected.hidden_states[i]), testing::kFloat32) << i;
  }
}

TEST(PreparedModel, GivesTheSameBitsOnAnyNumberOfThreads) {
  const at::NoGradGuard no_grad;
  const PreparedModel model = prepared(tiny_model(), at::kBFloat16);
  const at::Tensor first = logits(model, tiny_ids(4, 70));
  for (const int threads : {1, 2, 3}) {
    const ThreadCount count(threads);
    EXPECT_TRUE(logits(model, tiny_ids(4, 70)).equal(first)) << threads;
  }
}

TEST(PreparedModel, LetsGoOfTheMatricesAndIsAsLarge) {
  Model model = tiny_model();
  const ModelSize before = size_of(model);
  const at::Tensor weight = model.blocks[0].mlp.modules[0].in;
  const PreparedModel ready = prepare_for_inference(std::move(model), at::kFloat);
  EXPECT_EQ(weight.use_count(), 1);
  EXPECT_EQ(size_of(ready).weights, before.weights);
}

TEST(PreparedModel, ViewsOfOneModelSharePackedModules) {
  const at::NoGradGuard no_grad;
  const Model model = tiny_model();
  Model other = model;
  other.blocks[1].mlp.modules[2].in = model.blocks[1].mlp.modules[2].in.clone();
  const std::vector<PreparedModel> both = prepare_for_inference(std::vector{model, other}, at::kFloat);
  const auto panels = [&](std::size_t which, std::size_t m) {
    return both[which].blocks[1].mlp.in[m].panels.const_data_ptr();
  };
  EXPECT_EQ(panels(0, 1), panels(1, 1));
  EXPECT_NE(panels(0, 2), panels(1, 2)) << "another tensor";
  EXPECT_EQ(both[0].head.panels.const_data_ptr(), both[1].head.panels.const_data_ptr());
  EXPECT_TRUE(logits(both[1], tiny_ids(1, 9)).equal(logits(prepared(model, at::kFloat), tiny_ids(1, 9))));
}

TEST(PreparedModel, TellsWhichModulesItsRoutersChose) {
  const at::NoGradGuard no_grad;
  const Model model = tiny_model();
  const auto expected = forward(model, tiny_ids(2, 9)).routing,
             actual = forward(prepared(model, at::kFloat), tiny_ids(2, 9)).routing;
  for (std::size_t l = 0; l < expected.size(); ++l) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      const RouterDecision &want = expected[l].bank(kind).decision, &have = actual[l].bank(kind).decision;
      EXPECT_TRUE(have.indices.equal(want.indices));
      EXPECT_LE(relative_error(have.gates, want.gates), testing::kFloat32);
      EXPECT_LE(relative_error(have.probs, want.probs), testing::kFloat32);
    }
  }
}

TEST(PreparedModel, AnswersWithATiedHead) {
  const at::NoGradGuard no_grad;
  ModelConfig config = tiny_config();
  config.tie_word_embeddings = true;
  const Model model = tiny_model(config);
  EXPECT_LE(relative_error(logits(prepared(model, at::kFloat), tiny_ids(1, 5)), logits(model, tiny_ids(1, 5))),
            testing::kFloat32);
}

TEST(PreparedModel, RefusesWhatItCannotDo) {
  const PreparedModel model = prepared(tiny_model(), at::kFloat);
  const auto refusal = [](const std::function<void()>& f) -> std::string {
    try {
      f();
    } catch (const Error& e) {
      return e.what();
    }
    return "nothing was refused";
  };
  const at::Tensor ids = tiny_ids(1, 3);
  EXPECT_THAT(refusal([&] { forward(model, ids); }), HasSubstr("gives no gradients"));
  const at::NoGradGuard no_grad;
  ForwardOptions training, norms;
  training.training = true;
  norms.norms = true;
  EXPECT_THAT(refusal([&] { forward(model, ids, training); }), HasSubstr("gives no training"));
  EXPECT_THAT(refusal([&] { forward(model, ids, norms); }), HasSubstr("gives no norms"));
  EXPECT_THAT(refusal([&] { prepared(tiny_model(), at::kHalf); }), HasSubstr("float32, bfloat16, int8 or int4"));
}

}  // namespace
}  // namespace mformer
