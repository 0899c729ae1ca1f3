// Many texts through one model at once against each of them alone.

#include "core/serving/scheduler.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <map>

#include "core/decoding/mixture_decoder.h"
#include "core/decoding/text_scorer.h"
#include "core/model/inference.h"
#include "tests/core/serving/serving_support.h"
#include "tests/support/tiny_domains.h"

namespace mformer {
namespace {

using testing::kServedVocabulary;
using testing::Listener;
using testing::request_of;
using testing::run_out;
using testing::scheduler_for;
using testing::tiny_config;
using testing::tiny_model;
using testing::tiny_model_with_domains;

/// Log-probabilities in float32 of sums in another order.
constexpr double kServingRounding = 5e-5;
ModelConfig llama_like() {
  ModelConfig config = tiny_config();
  config.n_att_experts = 3;
  config.activation_function = ActivationFunction::silu;
  config.form.norm = NormKind::rms;
  config.form.attention = AttentionKind::softmax;
  config.form.att_routed = false;
  config.form.kv_bias = false;
  config.form.rotary.kind = RotaryKind::plain;
  config.form.gated = true;
  config.form.unrouted_layers = {0, 1};
  config.form.slice_hidden = 12;
  return config;
}

/// What is drawn by MixtureDecoder, as generate() does.
void expect_as_alone(const Model& model, const TextRequest& request, const Listener& got) {
  MixtureDecoder decoder(model, at::kFloat, 64);
  at::Generator generator = at::detail::createCPUGenerator(request.seed);
  std::vector<std::int64_t> next = request.ids;
  ASSERT_EQ(got.drawn.size(), static_cast<std::size_t>(request.max_tokens));
  for (const ReadToken& token : got.drawn) {
    const at::Tensor logits = decoder.read(next);
    const std::int64_t id = draw_token(logits, request.sampling, kServedVocabulary, generator);
    ASSERT_EQ(token.id, id);
    const at::Tensor log_probs = logits.to(at::kDouble).log_softmax(0);
    EXPECT_NEAR(*token.log_prob, log_probs[id].item<double>(), kServingRounding);
    EXPECT_NEAR(token.likeliest.at(0).log_prob, log_probs.max().item<double>(), kServingRounding);
    next = {id};
  }
  const std::vector<double> weights = decoder.weights();
  if (weights.size() != got.at_end.size()) return;  // of a view alone
  for (std::size_t h = 0; h < weights.size(); ++h) EXPECT_NEAR(got.at_end[h], weights[h], 1e-4);
}

struct NamedModel {
  const char* name;
  Model (*make)();
};

void PrintTo(const NamedModel& model, std::ostream* out) {
  *out << model.name;
}

class SchedulerOfEveryModel : public ::testing::TestWithParam<NamedModel> {};

TEST_P(SchedulerOfEveryModel, GivesEachTextWhatItGetsAlone) {
  const Model model = GetParam().make();
  Scheduler scheduler = scheduler_for(model);
  std::vector<TextRequest> requests;
  std::vector<std::shared_ptr<Listener>> listeners;
  // Of many lengths, one beyond a piece, and joining at different steps.
  for (const auto& [prompt, tokens] : std::vector<std::pair<std::size_t, std::int64_t>>{
           {1, 9}, {5, 14}, {150, 4}, {17, 1}, {3, 11}, {128, 2}, {9, 6}}) {
    requests.push_back(request_of(prompt, tokens, static_cast<unsigned>(requests.size()) + 1));
    listeners.push_back(std::make_shared<Listener>());
    ASSERT_EQ(scheduler.submit(requests.back(), listeners.back()), Admission::taken);
    scheduler.step();
  }
  run_out(scheduler);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    SCOPED_TRACE(i);
    ASSERT_EQ(listeners[i]->ended, TextEnd::length) << listeners[i]->what;
    expect_as_alone(model, requests[i], *listeners[i]);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Models, SchedulerOfEveryModel,
    ::testing::Values(NamedModel{"routed", [] { return tiny_model(); }},
                      NamedModel{"llama", [] { return tiny_model(llama_like()); }},
                      // Nothing is decided for long, so that all hypotheses run on,
                      NamedModel{"near", [] { return tiny_model_with_domains(tiny_config(), 0.02); }},
                      // or soon.
                      NamedModel{"far", [] { return tiny_model_with_domains(tiny_config(), 0.8); }}),
    [](const auto& one) { return std::string(one.param.name); });

TEST(Scheduler, ReadsAPromptsLogProbabilitiesAsTheScorerDoes) {
  const Model model = tiny_model_with_domains(tiny_config(), 0.3);
  Scheduler scheduler = scheduler_for(model);
  TextRequest request = request_of(140, 0, 3);
  request.prompt_log_probs = true;
  const auto listener = std::make_shared<Listener>(), other = std::make_shared<Listener>();
  scheduler.submit(request_of(30, 12, 4), other);
  scheduler.submit(request, listener);
  run_out(scheduler);
  TextScorer scorer(model, at::kFloat);
  const std::vector<double> expected = scorer.score(request.ids, 1);
  ASSERT_EQ(listener->ended, TextEnd::length);
  ASSERT_EQ(listener->heard.size(), request.ids.size());
  EXPECT_FALSE(listener->heard[0].log_prob.has_value());
  for (std::size_t t = 1; t < request.ids.size(); ++t) {
    EXPECT_EQ(listener->heard[t].id, request.ids[t]);
    EXPECT_NEAR(*listener->heard[t].log_prob, expected[t - 1], kServingRounding) << t;
  }
}

TEST(Scheduler, AsksOneHypothesisAloneWhereTheRequestNamesIt) {
  const Model model = tiny_model_with_domains(tiny_config(), 0.3);
  Scheduler scheduler = scheduler_for(model);
  TextRequest request = request_of(6, 8, 5);
  request.hypothesis = 2;
  request.routing = true;
  const auto listener = std::make_shared<Listener>();
  scheduler.submit(request, listener);
  run_out(scheduler);
  request.hypothesis.reset();
  expect_as_alone(view_of(model, "python"), request, *listener);
  EXPECT_EQ(listener->at_end, (std::vector<double>{0, 0, 1}));
  EXPECT_EQ(listener->rows, (std::map<std::size_t, std::int64_t>{{2, 6 + 7}}));
}

TEST(Scheduler, TellsEachWhoAsksWhichModulesWereChosenForItsOwnTokens) {
  Scheduler scheduler = scheduler_for(tiny_model());
  std::vector<std::shared_ptr<Listener>> listeners;
  for (const bool asks : {true, false, true}) {
    TextRequest request = request_of(4 + listeners.size(), 3, 6);
    request.routing = asks;
    listeners.push_back(std::make_shared<Listener>());
    scheduler.submit(request, listeners.back());
  }
  run_out(scheduler);
  EXPECT_EQ(listeners[0]->rows[0], 4 + 2);
  EXPECT_TRUE(listeners[1]->rows.empty());
  EXPECT_EQ(listeners[2]->rows[0], 6 + 2);
}

}  // namespace
}  // namespace mformer
