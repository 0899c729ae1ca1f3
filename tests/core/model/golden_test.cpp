// Parity with the reference implementation: every folder of tests/data/golden, every recorded tensor.

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <optional>

#include "core/checkpoint/hub_model.h"
#include "core/checkpoint/tensor_io.h"
#include "core/formats/safetensors.h"
#include "core/model/forward.h"
#include "core/model/inference.h"
#include "core/model/losses.h"
#include "core/training/adamw.h"
#include "core/training/trainable.h"
#include "tests/support/stored_gradients.h"
#include "tests/support/tolerance.h"

namespace mformer {
namespace {

using testing::kFloat32;
using testing::kFloat32AfterTraining;
using testing::kFloat32Scalar;
using testing::kRecording;
using testing::relative_error;

/// One golden folder: the checkpoint and what the reference made of it.
class GoldenTest : public ::testing::TestWithParam<std::string> {
 protected:
  GoldenTest()
      : folder_(std::filesystem::path(MFORMER_TEST_DATA) / "golden" / GetParam()),
        expected_(SafetensorsFile::open(folder_ / "expected.safetensors")),
        model_(load_hub_model(open_hub_folder(folder_))) {}

  bool has(const std::string& name) const { return expected_.find(name) != nullptr; }
  at::Tensor want(const std::string& name) const { return to_tensor(expected_.get(name)); }

  ForwardOptions options() const {
    ForwardOptions options;
    options.hidden_states = true;
    if (has("attention_mask")) options.attention_mask = want("attention_mask").to(at::kBool);
    return options;
  }

  at::Tensor loss(const ForwardOutput& output) const {
    return next_token_loss(logits_of(model_, output.hidden), want("input_ids")) +
           model_.config.aux_loss_weight * balance_loss(model_.config, output.routing);
  }

  /// The logits of the prompt's last token and of each after it, one at a time.
  template <typename AnyModel>
  at::Tensor decoded_logits(const AnyModel& model) const {
    const at::NoGradGuard no_grad;
    const at::Tensor ids = want("input_ids");
    const auto prefill = want("cache.prefill").item<std::int64_t>();
    KeyValueCache cache;
    ForwardOptions how;
    how.cache = &cache;
    std::vector<at::Tensor> logits = {
        logits_of(model, forward(model, ids.narrow(1, 0, prefill), how).hidden.narrow(1, prefill - 1, 1))};
    for (std::int64_t step = 0; step + 1 < want("cache.logits").size(1); ++step) {
      logits.push_back(logits_of(model, forward(model, ids.narrow(1, prefill + step, 1), how).hidden));
    }
    return at::cat(logits, 1);
  }

  void expect_close(const at::Tensor& actual, const std::string& name, double tolerance = kFloat32) {
    const double error = relative_error(actual.reshape(want(name).sizes()), want(name));
    EXPECT_LE(error, tolerance) << name;
    if (error > worst_) {
      worst_ = error;
      worst_name_ = name;
    }
  }

  /// The gradients of the loss against the recorded ones; a temperature is a single number, held to `scalar_tolerance`.
  void expect_gradients(double tolerance, double scalar_tolerance) {
    make_trainable(model_, [](const ParameterRef&) { return true; });
    loss(forward(model_, want("input_ids"), options())).backward();
    for (const NamedTensor& entry : testing::stored_gradients(model_)) {
      expect_close(entry.tensor, "grad." + entry.name,
                   entry.name.ends_with(".temperature") ? scalar_tolerance : tolerance);
    }
  }

  ~GoldenTest() override {
    RecordProperty("worst_relative_error", std::to_string(worst_));
    std::printf("%s: worst relative error %.2e (%s)\n", GetParam().c_str(), worst_, worst_name_.c_str());
  }

  std::filesystem::path folder_;
  SafetensorsFile expected_;
  Model model_;
  double worst_ = 0;
  std::string worst_name_;
};

TEST_P(GoldenTest, ForwardMatchesTheReference) {
  const ForwardOutput output = forward(model_, want("input_ids"), options());
  for (std::size_t i = 0; i < output.hidden_states.size(); ++i) {
    expect_close(output.hidden_states[i], "hidden." + std::to_string(i));
  }
  expect_close(logits_of(model_, output.hidden), "logits");
  expect_close(balance_loss(model_.config, output.routing), "aux_loss");
  expect_close(loss(output), "loss");
}

TEST_P(GoldenTest, RoutersChooseWhatTheReferenceChooses) {
  const ForwardOutput output = forward(model_, want("input_ids"), options());
  for (std::size_t l = 0; l < output.routing.size(); ++l) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      const std::string name = "routing.layer." + std::to_string(l) + "." + std::string(to_string(kind));
      const RouterDecision& decision = output.routing[l].bank(kind).decision;
      EXPECT_TRUE(decision.indices.equal(want(name + ".indices"))) << name;
      expect_close(decision.gates, name + ".gates");
      expect_close(balance_loss(model_.config, decision), name + ".aux");
    }
  }
}

TEST_P(GoldenTest, GradientsOfEveryParameterMatchTheReference) {
  expect_gradients(kFloat32, kFloat32Scalar);
}

TEST_P(GoldenTest, GradientsInFloat64MatchToTheRoundingOfTheRecording) {
  convert(model_, at::kDouble);
  expect_gradients(kRecording, kRecording);
}

TEST_P(GoldenTest, CachedDecodingMatchesTheReference) {
  if (!has("cache.logits")) GTEST_SKIP() << "this folder records no cached decoding";
  expect_close(decoded_logits(model_), "cache.logits");
  expect_close(decoded_logits(prepare_for_inference(model_, at::kFloat)), "cache.logits");
}

TEST_P(GoldenTest, AModelPreparedForInferenceMatchesTheReference) {
  const at::NoGradGuard no_grad;
  const PreparedModel prepared = prepare_for_inference(model_, at::kFloat);
  const ForwardOutput output = forward(prepared, want("input_ids"), options());
  for (std::size_t i = 0; i < output.hidden_states.size(); ++i) {
    expect_close(output.hidden_states[i], "hidden." + std::to_string(i));
  }
  expect_close(logits_of(prepared, output.hidden), "logits");
}

TEST_P(GoldenTest, TenOptimiserStepsMatchTheReference) {
  if (!has("train.losses")) GTEST_SKIP() << "this folder records no training";
  auto parameters = make_trainable(model_, [](const ParameterRef&) { return true; });
  for (TrainedParameter& parameter : parameters) parameter.decay = true;  // as the recording did
  AdamW optimizer(std::move(parameters), {});
  std::vector<double> losses;
  for (int step = 0; step < 10; ++step) {
    optimizer.clear_gradients();
    const at::Tensor total = loss(forward(model_, want("input_ids"), options()));
    losses.push_back(total.item<double>());
    total.backward();
    optimizer.step(2e-3);
  }
  expect_close(at::tensor(losses), "train.losses");
  for (const NamedTensor& entry : to_hub_tensors(model_)) {
    if (has("train.final." + entry.name))
      expect_close(entry.tensor, "train.final." + entry.name, kFloat32AfterTraining);
  }
}

INSTANTIATE_TEST_SUITE_P(Folders, GoldenTest, ::testing::Values("mlp_gate_k2", "identity_kv_padded", "gmm_gate_cache"),
                         [](const auto& instance) { return instance.param; });

}  // namespace
}  // namespace mformer
