// One token in one go through all layers against the pass that takes step by step.

#include "core/model/token_step.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <functional>

#include "tests/support/threads.h"
#include "tests/support/tiny_model.h"
#include "tests/support/tolerance.h"

namespace mformer {
namespace {

using testing::relative_error;
using testing::ThreadCount;
using testing::tiny_ids;
using testing::tiny_model;

constexpr at::ScalarType kDtypes[] = {at::kFloat, at::kBFloat16, at::kChar, kInt4};

/// A Llama wide enough that threads share the work.
ModelConfig dense_config() {
  ModelConfig config = testing::tiny_config();
  config.n_embd = 256;
  config.n_head = 3;
  config.att_hidden = 96;
  config.n_att_experts = 3;
  config.n_mlp_experts = 4;
  config.activation_function = ActivationFunction::silu;
  config.form.norm = NormKind::rms;
  config.form.attention = AttentionKind::softmax;
  config.form.att_routed = false;
  config.form.kv_bias = false;
  config.form.rotary.kind = RotaryKind::plain;
  config.form.gated = true;
  config.form.unrouted_layers = {0, 1};
  config.form.slice_hidden = 128;
  return config;
}

Model dense_model(const ModelConfig& config) {
  Model model = tiny_model(config);
  for (Block& block : model.blocks) {  // as large as in a trained model: otherwise the residual stream is all there is
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      for (Module& module : block.bank(kind).modules) module.in.mul_(2), module.out.mul_(2);
    }
  }
  return model;
}

/// The logits of each of `tokens` tokens after a beginning of five, read one by one, at once or step by step.
at::Tensor decoded(const PreparedModel& model, std::int64_t tokens, bool at_once) {
  const at::Tensor ids = tiny_ids(1, 5 + tokens);
  KeyValueCache cache;
  ForwardOptions how;
  how.cache = &cache;
  how.hidden_states = !at_once;  // which a step at once doesn't keep
  std::vector<at::Tensor> logits;
  forward(model, ids.narrow(1, 0, 5), how);
  while (cache.length() < 5 + tokens) {
    logits.push_back(logits_of(model, forward(model, ids.narrow(1, cache.length(), 1), how).hidden));
  }
  return at::cat(logits, 1);
}

struct StepForm {
  const char* name;
  std::function<void(ModelConfig&)> change;
  friend void PrintTo(const StepForm& form, std::ostream* to) { *to << form.name; }
};

class TokenStep : public ::testing::TestWithParam<StepForm> {
 protected:
  TokenStep() { GetParam().change(config_); }

  at::NoGradGuard no_grad_;
  ModelConfig config_ = dense_config();
};

TEST_P(TokenStep, GivesTheBitsOfThePassThatTakesStepByStep) {
  for (const at::ScalarType dtype : kDtypes) {
    const PreparedModel model = prepare_for_inference(dense_model(config_), dtype);
    ASSERT_TRUE(takes_token_steps(model));
    const at::Tensor at_once = decoded(model, 12, true), step_by_step = decoded(model, 12, false);
    EXPECT_TRUE(at_once.equal(step_by_step)) << dtype << " " << relative_error(at_once, step_by_step);
  }
}

Rotary rotary_of(RotaryKind kind) {
  Rotary rotary;
  rotary.kind = kind, rotary.factor = 2, rotary.original_context = 8;
  return rotary;
}

INSTANTIATE_TEST_SUITE_P(
    Forms, TokenStep,
    ::testing::Values(
        StepForm{"Llama", [](ModelConfig&) {}},
        StepForm{"HeadNorms", [](ModelConfig& c) { c.form.qk_norm = QkNorm::head; }},
        StepForm{"Biases",
                 [](ModelConfig& c) {
                   c.form.in_bias_att = c.form.in_bias_mlp = true;
                   c.form.out_bias_att = c.form.out_bias_mlp = true;
                 }},
        StepForm{"LayerNormsAndNoGate",
                 [](ModelConfig& c) {
                   c.form.norm = NormKind::layer, c.form.gated = false;
                   c.activation_function = ActivationFunction::gelu_new;
                 }},
        StepForm{"Windows", [](ModelConfig& c) { c.form.window = 5, c.form.unwindowed_layers = {1}; }},
        StepForm{"NoPositions", [](ModelConfig& c) { c.form.rotary = Rotary(); }},
        StepForm{"Linear", [](ModelConfig& c) { c.form.rotary = rotary_of(RotaryKind::linear); }},
        StepForm{"Dynamic", [](ModelConfig& c) { c.form.rotary = rotary_of(RotaryKind::dynamic); }},
        StepForm{"Llama3", [](ModelConfig& c) { c.form.rotary = rotary_of(RotaryKind::llama3); }},
        StepForm{"Yarn", [](ModelConfig& c) { c.form.rotary = rotary_of(RotaryKind::yarn); }},
        StepForm{"NarrowSlices", [](ModelConfig& c) { c.form.slice_hidden = 96; }},
        StepForm{"NarrowSlicesWithoutGate", [](ModelConfig& c) { c.form.slice_hidden = 32, c.form.gated = false; }},
        StepForm{"AnOddWidth", [](ModelConfig& c) { c.n_embd = 200; }},
        StepForm{"Routed",
                 [](ModelConfig& c) {
                   c.form.unrouted_layers = {1}, c.ffd_hidden = 96;
                   c.gate_type = GateType::linear;
                 }},
        StepForm{"RoutedOfTheBest",
                 [](ModelConfig& c) {
                   c.form.unrouted_layers = {}, c.ffd_hidden = 128, c.n_mlp_experts = 70;
                   c.gate_type = GateType::linear, c.form.top_k_first = true;
                 }},
        StepForm{"RoutedWithoutGate",
                 [](ModelConfig& c) {
                   c.form.unrouted_layers = {}, c.ffd_hidden = 40, c.k_mlp = 3;
                   c.gate_type = GateType::linear, c.form.renormalise = true, c.form.gated = false;
                   c.form.out_bias_mlp = true;
                 }},
        StepForm{"OneHead", [](ModelConfig& c) { c.n_att_experts = 1; }},
        StepForm{"Scales", [](ModelConfig& c) { c.form.embedding_scale = 3, c.form.attention_scale = 0.3; }}),
    [](const auto& instance) { return std::string(instance.param.name); });

TEST(TokenSteps, AreTheSameOnAnyNumberOfThreads) {
  const at::NoGradGuard no_grad;
  const PreparedModel model = prepare_for_inference(dense_model(dense_config()), at::kChar);
  const at::Tensor alone = [&] {
    const ThreadCount count(1);
    return decoded(model, 8, true);
  }();
  for (const int threads : {2, 3, 7}) {
    const ThreadCount count(threads);
    EXPECT_TRUE(decoded(model, 8, true).equal(alone)) << threads;
  }
}

TEST(TokenSteps, GoOnWhereTheCacheRunsOutOfRoom) {
  const at::NoGradGuard no_grad;
  const PreparedModel model = prepare_for_inference(dense_model(dense_config()), at::kFloat);
  EXPECT_TRUE(decoded(model, 130, true).equal(decoded(model, 130, false)));
}

TEST(TokenSteps, AreTakenThroughLayersThatHaveLostModules) {
  const at::NoGradGuard no_grad;
  Model model = dense_model(dense_config());
  ModuleSelection keep = all_modules(model);
  keep.att[0] = {0, 2}, keep.mlp[1] = {3};
  const PreparedModel pruned = prepare_for_inference(select(model, keep), at::kChar);
  ASSERT_TRUE(takes_token_steps(pruned));
  EXPECT_TRUE(decoded(pruned, 6, true).equal(decoded(pruned, 6, false)));
}

TEST(TokenSteps, ScaleWhatTheyAddAsThePassDoes) {
  const at::NoGradGuard no_grad;
  ModelConfig config = dense_config();
  config.form.residual_scale = 0.22;
  const PreparedModel model = prepare_for_inference(dense_model(config), at::kFloat);
  EXPECT_LE(relative_error(decoded(model, 6, true), decoded(model, 6, false)), testing::kFloat32);
}

TEST(TokenSteps, AreForThePlainForms) {
  const at::NoGradGuard no_grad;
  const std::function<void(ModelConfig&)> others[] = {
      [](ModelConfig& c) { c.form.unrouted_layers = {0}; },  // a router of two layers
      [](ModelConfig& c) { c.form.qk_norm = QkNorm::whole; },
      [](ModelConfig& c) { c.form.clip_qkv = 0.5; },
      [](ModelConfig& c) { c.n_head = 24; },
  };
  for (const auto& change : others) {
    ModelConfig config = dense_config();
    change(config);
    const PreparedModel model = prepare_for_inference(dense_model(config), at::kFloat);
    EXPECT_FALSE(takes_token_steps(model));
    EXPECT_TRUE(decoded(model, 3, true).equal(decoded(model, 3, false)));
  }
  EXPECT_FALSE(takes_token_steps(prepare_for_inference(tiny_model(), at::kFloat)));
}

TEST(TokenSteps, TellWhatTheRoutersChose) {
  const at::NoGradGuard no_grad;
  ModelConfig config = dense_config();
  config.form.unrouted_layers = {0}, config.gate_type = GateType::linear, config.form.renormalise = true;
  const PreparedModel model = prepare_for_inference(dense_model(config), at::kBFloat16);
  ASSERT_TRUE(takes_token_steps(model));
  for (std::int64_t token = 0; token < 8; ++token) {
    KeyValueCache here, there;
    ForwardOptions at_once, step_by_step;
    at_once.cache = &here, step_by_step.cache = &there, step_by_step.hidden_states = true;
    const at::Tensor id = at::full({1, 1}, token, at::kLong);
    const ForwardOutput actual = forward(model, id, at_once), expected = forward(model, id, step_by_step);
    EXPECT_FALSE(actual.routing[0].mlp.decision.indices.defined());
    const RouterDecision &one = actual.routing[1].mlp.decision, &other = expected.routing[1].mlp.decision;
    EXPECT_TRUE(one.indices.equal(other.indices) && one.gates.equal(other.gates) && one.probs.equal(other.probs));
  }
}

TEST(TokenSteps, LeaveRoomForTheTextThatIsReadAfterThem) {
  const at::NoGradGuard no_grad;
  const PreparedModel model = prepare_for_inference(dense_model(dense_config()), at::kFloat);
  const at::Tensor ids = tiny_ids(1, 9);
  KeyValueCache cache;
  ForwardOptions how;
  how.cache = &cache;
  for (std::int64_t t = 0; t < 3; ++t) forward(model, ids.narrow(1, t, 1), how);
  const at::Tensor rest = forward(model, ids.narrow(1, 3, 6), how).hidden;
  EXPECT_EQ(cache.length(), 9);
  EXPECT_LE(relative_error(rest, forward(model, ids).hidden.narrow(1, 3, 6)), testing::kFloat32);
}

}  // namespace
}  // namespace mformer
