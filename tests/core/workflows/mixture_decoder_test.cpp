#include "core/decoding/mixture_decoder.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include "core/model/domains.h"
#include "tests/support/tiny_domains.h"
#include "tests/support/tolerance.h"

namespace mformer {
namespace {

using testing::relative_error;
using testing::tiny_config;
using testing::tiny_ids;
using testing::tiny_model_with_domains;

std::vector<std::int64_t> ids_of(const at::Tensor& row) {
  return {row.const_data_ptr<std::int64_t>(), row.const_data_ptr<std::int64_t>() + row.numel()};
}

at::Tensor log_probs(const Model& model, const at::Tensor& ids) {
  const at::NoGradGuard no_grad;
  return logits_of(model, forward(model, ids.unsqueeze(0)).hidden)[0].to(at::kDouble).log_softmax(1);
}

TEST(MixtureDecoder, MixesWhatTheHypothesesSayByTheirPosterior) {
  const Model model = tiny_model_with_domains(tiny_config(), 0.05);
  const at::Tensor ids = tiny_ids(1, 12)[0];
  PosteriorOptions options;
  options.negligible = 0;
  MixtureDecoder decoder(model, at::kFloat, 12, options);
  decoder.read(ids_of(ids.narrow(0, 0, 7).contiguous()));
  at::Tensor last;
  for (std::int64_t t = 7; t < 12; ++t) last = decoder.read({ids[t].item<std::int64_t>()});
  Posterior posterior(2, options);
  std::vector<at::Tensor> all;
  for (const Model& view : views_of(model)) all.push_back(log_probs(view, ids));
  for (std::int64_t t = 0; t + 1 < 12; ++t) {
    std::vector<double> seen;
    for (const at::Tensor& one : all) seen.push_back(one[t][ids[t + 1]].item<double>());
    posterior.observe(seen);
  }
  at::Tensor mixed = at::zeros({61}, at::kDouble);
  for (std::size_t h = 0; h < 3; ++h) {
    mixed += all[h][11].exp() * posterior.weights()[h];
    EXPECT_NEAR(decoder.weights()[h], posterior.weights()[h], 1e-4);  // float32 log-probabilities
  }
  EXPECT_LE(relative_error(last.exp(), mixed), 1e-4);
}

TEST(MixtureDecoder, IsThePlainModelWhereOneHypothesisIsLeft) {
  const Model model = tiny_model_with_domains(tiny_config(), 0.8);
  const at::Tensor ids = tiny_ids(1, 20)[0];
  MixtureDecoder decoder(model, at::kFloat, 20);
  decoder.read(ids_of(ids.narrow(0, 0, 19).contiguous()));
  const std::vector<double> weights = decoder.weights();
  const auto left = std::find_if(weights.begin(), weights.end(), [](double w) { return w > 0; }) - weights.begin();
  ASSERT_EQ(std::count(weights.begin(), weights.end(), 0.0), 2) << "the hypotheses are not far enough apart";
  const at::Tensor last = decoder.read({ids[19].item<std::int64_t>()});
  const at::Tensor alone = log_probs(views_of(model)[left], ids)[19];
  EXPECT_LE(relative_error(last.to(at::kDouble).log_softmax(0), alone), 1e-5);
}

TEST(MixtureDecoder, ReadsALongPromptInPiecesToTheSameEnd) {
  ModelConfig config = tiny_config();
  config.block_size = config.history_length = 700;
  const Model model = tiny_model_with_domains(config, 0.001);  // nothing is decided for long
  const at::Tensor ids = tiny_ids(1, 600)[0];
  MixtureDecoder whole(model, at::kFloat, 600), pieces(model, at::kFloat, 600);
  const at::Tensor a = whole.read(ids_of(ids));
  pieces.read(ids_of(ids.narrow(0, 0, 100).contiguous()));
  const at::Tensor b = pieces.read(ids_of(ids.narrow(0, 100, 500).contiguous()));
  EXPECT_LE(relative_error(a.exp(), b.exp()), 1e-4);
}

/// log of the probability that all hypotheses together give to ids[from…] after those before.
double of_all(const Model& model, const at::Tensor& ids, std::int64_t from) {
  std::vector<at::Tensor> all;
  for (const Model& view : views_of(model)) all.push_back(log_probs(view, ids));
  Posterior posterior(model.domains.size(), {});
  double sum = 0;
  for (std::int64_t t = 0; t + 1 < ids.size(0); ++t) {
    std::vector<double> seen;
    for (const at::Tensor& one : all) seen.push_back(one[t][ids[t + 1]].item<double>());
    const double loss = posterior.observe(seen);
    if (t + 1 >= from) sum -= loss;
  }
  return sum;
}

TEST(MixtureDecoder, KeepsNoTextMoreThanItsBoundFromTheMixtureOfAll) {
  ModelConfig config = tiny_config();
  config.block_size = config.history_length = 64;
  const Model model = tiny_model_with_domains(config, 0.8);
  double most = -1;
  for (unsigned seed = 1; seed <= 20; ++seed) {
    const at::Tensor ids = tiny_ids(1, 60, seed)[0];  // as hostile as chance: nobody's text
    MixtureDecoder decoder(model, at::kFloat, 60);
    at::Tensor next = decoder.read(ids_of(ids.narrow(0, 0, 20).contiguous()));
    double drawn = 0, bound = 0;
    for (std::int64_t t = 20; t < 60; ++t) {
      drawn += next.to(at::kDouble).log_softmax(0)[ids[t]].item<double>();
      bound -= std::log(decoder.kept());
      next = decoder.read({ids[t].item<std::int64_t>()});
    }
    ASSERT_EQ(decoder.running(), 1) << "nothing was given up";
    ASSERT_FALSE(decoder.gave_up_while_reading());
    EXPECT_LT(bound, 0.1);
    most = std::max(most, drawn - of_all(model, ids, 20) - bound);
  }
  EXPECT_LE(most, 1e-4) << "float32 log-probabilities";
}

TEST(MixtureDecoder, SaysWhenItGaveHypothesesUpInsideWhatItRead) {
  ModelConfig config = tiny_config();
  config.block_size = config.history_length = 700;
  const at::Tensor ids = tiny_ids(1, 600)[0];
  MixtureDecoder apart(tiny_model_with_domains(config, 0.8), at::kFloat, 600);
  apart.read(ids_of(ids));
  EXPECT_TRUE(apart.gave_up_while_reading());
  MixtureDecoder near(tiny_model_with_domains(config, 0.001), at::kFloat, 600);
  near.read(ids_of(ids));
  EXPECT_FALSE(near.gave_up_while_reading());
  EXPECT_NEAR(near.kept(), 1.0, 1e-12);
}

}  // namespace
}  // namespace mformer
