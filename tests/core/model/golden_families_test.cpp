// Parity with transformers: every folder of tests/data/golden-families, every recorded tensor (its README.md).

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>

#include "core/checkpoint/hub_model.h"
#include "core/checkpoint/quantize.h"
#include "core/checkpoint/tensor_io.h"
#include "core/formats/safetensors.h"
#include "core/model/forward.h"
#include "core/model/inference.h"
#include "core/model/losses.h"
#include "core/training/trainable.h"
#include "tests/support/stored_gradients.h"
#include "tests/support/tolerance.h"

namespace mformer {
namespace {

using testing::kFloat32;
using testing::relative_error;

class GoldenFamilyTest : public ::testing::TestWithParam<std::string> {
 protected:
  GoldenFamilyTest()
      : folder_(std::filesystem::path(MFORMER_TEST_DATA) / "golden-families" / GetParam()),
        expected_(SafetensorsFile::open(folder_ / "expected.safetensors")),
        model_(load_hub_model(open_hub_folder(folder_))) {}

  bool has(const std::string& name) const { return expected_.find(name) != nullptr; }
  at::Tensor want(const std::string& name) const { return to_tensor(expected_.get(name)); }

  static ForwardOptions with_states() {
    ForwardOptions options;
    options.hidden_states = true;
    return options;
  }

  ForwardOptions padded() const {
    ForwardOptions options;
    options.attention_mask = want("padded.attention_mask").to(at::kBool);
    return options;
  }

  at::Tensor loss(const ForwardOutput& output) const {
    return next_token_loss(logits_of(model_, output.hidden), want("input_ids")) +
           model_.config.aux_loss_weight * balance_loss(model_.config, output.routing);
  }

  /// The logits that each greedy token was chosen by: the prompt in one pass, then token after token.
  template <typename AnyModel>
  at::Tensor greedy_logits(const AnyModel& model, std::vector<std::int64_t>& tokens) const {
    const at::NoGradGuard no_grad;
    KeyValueCache cache;
    ForwardOptions how;
    how.cache = &cache;
    at::Tensor next = want("greedy.prompt");
    std::vector<at::Tensor> logits;
    for (std::int64_t step = 0; step < want("greedy.tokens").size(1); ++step) {
      const at::Tensor hidden = forward(model, next, how).hidden;
      logits.push_back(logits_of(model, hidden.narrow(1, hidden.size(1) - 1, 1)));
      next = logits.back().argmax(-1);
      tokens.push_back(next.item<std::int64_t>());
    }
    return at::cat(logits, 1);
  }

  template <typename AnyModel>
  void expect_greedy(const AnyModel& model) const {
    std::vector<std::int64_t> tokens;
    expect_close(greedy_logits(model, tokens), "greedy.logits");
    EXPECT_TRUE(at::tensor(tokens, at::kLong).equal(want("greedy.tokens").flatten()));
  }

  void expect_close(const at::Tensor& actual, const std::string& name, double tolerance = kFloat32) const {
    EXPECT_LE(relative_error(actual.reshape(want(name).sizes()), want(name)), tolerance) << name;
  }

  /// Padded positions are compared nowhere: nobody reads them.
  void expect_padded(const at::Tensor& logits) const {
    const at::Tensor real = want("padded.attention_mask").to(at::kBool);
    EXPECT_LE(relative_error(logits.index({real}), want("padded.logits").index({real})), kFloat32);
  }

  template <typename AnyModel>
  void expect_states(const AnyModel& model, const ForwardOutput& output) const {
    for (std::size_t i = 0; i < output.hidden_states.size(); ++i) {
      expect_close(output.hidden_states[i], "hidden." + std::to_string(i));
    }
    expect_close(logits_of(model, output.hidden), "logits");
  }

  /// Of all (router, token) pairs, how many chose another set of modules than was recorded; and how many there are.
  std::pair<std::int64_t, std::int64_t> tokens_sent_elsewhere(const ForwardOutput& output) const {
    std::int64_t elsewhere = 0, all = 0;
    for (std::size_t l = 0; l < output.routing.size(); ++l) {
      for (const Kind kind : {Kind::att, Kind::mlp}) {
        const std::string name = "routing.layer." + std::to_string(l) + "." + std::string(to_string(kind)) + ".indices";
        if (!has(name)) continue;
        const at::Tensor ours = std::get<0>(output.routing[l].bank(kind).decision.indices.sort(1));
        elsewhere += ours.ne(std::get<0>(want(name).sort(1))).any(1).sum().item<std::int64_t>();
        all += ours.size(0);
      }
    }
    return {elsewhere, all};
  }

  std::filesystem::path folder_;
  SafetensorsFile expected_;
  Model model_;
};

TEST_P(GoldenFamilyTest, ForwardMatches) {
  const ForwardOutput output = forward(model_, want("input_ids"), with_states());
  expect_states(model_, output);
  expect_close(next_token_loss(logits_of(model_, output.hidden), want("input_ids")), "cross_entropy");
  if (has("aux_loss")) expect_close(balance_loss(model_.config, output.routing), "aux_loss");
  expect_close(loss(output), "loss");
}

TEST_P(GoldenFamilyTest, RoutersChooseAlike) {
  const ForwardOutput output = forward(model_, want("input_ids"), with_states());
  for (std::size_t l = 0; l < output.routing.size(); ++l) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      const std::string name = "routing.layer." + std::to_string(l) + "." + std::string(to_string(kind));
      const RouterDecision& decision = output.routing[l].bank(kind).decision;
      ASSERT_EQ(has(name + ".logits"), decision.logits.defined()) << name;
      if (!decision.logits.defined()) continue;
      EXPECT_TRUE(decision.indices.equal(want(name + ".indices"))) << name;
      expect_close(decision.logits, name + ".logits");
      expect_close(decision.probs, name + ".probs");
      expect_close(decision.gates, name + ".gates");
    }
  }
}

TEST_P(GoldenFamilyTest, GradientsOfEveryStoredTensorMatch) {
  make_trainable(model_, [](const ParameterRef&) { return true; });
  loss(forward(model_, want("input_ids"))).backward();
  const auto gradients = testing::stored_gradients(model_);
  EXPECT_EQ(gradients.size(), open_hub_folder(folder_).tensor_names().size());
  for (const NamedTensor& entry : gradients) expect_close(entry.tensor, "grad." + entry.name);
}

TEST_P(GoldenFamilyTest, PaddedBatchesMatch) {
  const ForwardOutput output = forward(model_, want("padded.input_ids"), padded());
  const at::Tensor logits = logits_of(model_, output.hidden);
  expect_padded(logits);
  const std::int64_t tokens = logits.size(1);
  expect_close(cross_entropy(logits.narrow(1, 0, tokens - 1), want("padded.labels").narrow(1, 1, tokens - 1)),
               "padded.cross_entropy");
  if (!has("padded.aux_loss")) return;
  expect_close(balance_loss(model_.config, output.routing, want("padded.attention_mask").flatten().to(at::kBool)),
               "padded.aux_loss");
}

TEST_P(GoldenFamilyTest, CachedGreedyTokensMatch) {
  expect_greedy(model_);
}

TEST_P(GoldenFamilyTest, PreparedForInferenceItMatches) {
  const at::NoGradGuard no_grad;
  const PreparedModel ready = prepare_for_inference(model_, at::kFloat);
  expect_states(ready, forward(ready, want("input_ids"), with_states()));
  expect_padded(logits_of(ready, forward(ready, want("padded.input_ids"), padded()).hidden));
  expect_greedy(ready);
}

TEST_P(GoldenFamilyTest, WhatIsReadIsWrittenBackBitForBit) {
  const HubFolder folder = open_hub_folder(folder_);
  for (const NamedTensor& entry : to_hub_tensors(model_)) {
    EXPECT_TRUE(entry.tensor.equal(to_tensor(folder.get(entry.name)))) << entry.name;
  }
}

/// How far the reference in bfloat16 (weights and all) is from itself in float64, on the same ids: transformers 5.24.0,
/// torch 2.11.0, dtype=torch.bfloat16, experts "eager", norm of the difference of logits over norm.
const std::map<std::string, double> kReferenceInBFloat16 = {
    {"granitemoe", 1.081e-2}, {"granitemoeshared", 1.546e-2}, {"jetmoe", 2.335e-2},
    {"llama", 1.392e-2},      {"mixtral", 1.861e-2},          {"olmoe", 7.386e-2},
    {"qwen3_moe", 5.178e-2},
};

TEST_P(GoldenFamilyTest, BFloat16IsAsCloseAsTheReferencesOwn) {
  const auto most = kReferenceInBFloat16.find(GetParam());
  if (most == kReferenceInBFloat16.end()) GTEST_SKIP() << "not recorded for this folder";
  const at::NoGradGuard no_grad;
  ForwardOptions how;
  how.bfloat16 = true;
  {
    SCOPED_TRACE("as it is trained");
    expect_close(logits_of(model_, forward(model_, want("input_ids"), how).hidden, true), "logits", most->second);
  }
  const PreparedModel ready = prepare_for_inference(model_, at::kBFloat16);
  const ForwardOutput output = forward(ready, want("input_ids"));
  const auto [taken, all] = tokens_sent_elsewhere(output);
  // A choice between two modules that are nearly as likely may fall out otherwise, and all that reads the token
  // changes.
  if (taken == 0) expect_close(logits_of(ready, output.hidden), "logits", most->second);
  EXPECT_LE(20 * taken, all) << "of " << all << " choices";
}

TEST(DenseFeedForward, IsTheSameLayerInAnyNumberOfSlices) {
  const std::filesystem::path folder = std::filesystem::path(MFORMER_TEST_DATA) / "golden-families/llama";
  const SafetensorsFile expected = SafetensorsFile::open(folder / "expected.safetensors");
  const at::Tensor ids = to_tensor(expected.get("input_ids")), logits = to_tensor(expected.get("logits"));
  for (const std::int64_t slices : {1, 2, 16, 64}) {
    const HubFolder hub = open_hub_folder(folder, {slices});
    const Model model = load_hub_model(hub);
    EXPECT_EQ(model.blocks[0].mlp.size(), slices);
    EXPECT_LE(relative_error(logits_of(model, forward(model, ids).hidden), logits), kFloat32) << slices;
    for (const NamedTensor& entry : to_hub_tensors(model)) {
      EXPECT_TRUE(entry.tensor.equal(to_tensor(hub.get(entry.name)))) << entry.name << " of " << slices;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Folders, GoldenFamilyTest,
                         ::testing::Values("llama", "llama_biases", "mistral", "qwen2", "qwen3", "mixtral",
                                           "granitemoe", "granitemoeshared", "olmoe", "qwen2_moe", "qwen3_moe",
                                           "jetmoe"),
                         [](const auto& instance) { return instance.param; });

/// The model with every matrix but the routers' as blocks.
Model coded(const Model& model, const std::string& quantization) {
  Model made = model;
  made.config.quantization = quantization;
  std::map<std::string, ParameterShape> shapes;
  for (ParameterShape& shape : parameter_shapes(made.config)) shapes[shape.name] = shape;
  for_each_parameter(made, [&](const ParameterRef& ref) {
    if (shapes.at(ref.name).bits != 0) *ref.tensor = quantized_parameter(*ref.tensor, shapes.at(ref.name));
  });
  if (made.config.tie_word_embeddings) made.lm_head = made.wte;
  return made;
}

TEST(DenseFamilies, AnswerFromBlocksAsFromTheirValuesWhetherSlicesJoinOrNot) {
  const at::NoGradGuard no_grad;
  for (const char* name : {"llama", "mistral", "qwen2", "qwen3"}) {
    const auto folder = std::filesystem::path(MFORMER_TEST_DATA) / "golden-families" / name;
    for (const std::int64_t slices : {0, 2}) {  // 2: of 32 inputs or more, whole groups
      const Model model = load_hub_model(open_hub_folder(folder, {slices}));
      const at::Tensor ids = at::arange(2, 42).remainder(model.config.vocab_size).view({2, 20});
      const auto logits = [&](const auto& any) { return logits_of(any, forward(any, ids).hidden); };
      for (const char* quantization : {"int8_groups", "int4_groups"}) {
        const Model blocks = coded(model, quantization);
        Model values = blocks;
        dequantize(values, at::kFloat);
        EXPECT_EQ(size_of(blocks).weights, size_of(model).weights);
        EXPECT_LE(relative_error(logits(blocks), logits(values)), kFloat32) << name;
        EXPECT_LE(relative_error(logits(prepare_for_inference(blocks, at::kFloat)), logits(values)), kFloat32) << name;
        EXPECT_LE(relative_error(logits(prepare_for_inference(blocks, at::kChar)), logits(values)), testing::kBFloat16)
            << name << " " << slices << " " << quantization;
      }
    }
  }
}

}  // namespace
}  // namespace mformer
