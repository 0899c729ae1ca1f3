#include "core/training/evaluate_posterior.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "core/model/losses.h"
#include "core/training/evaluate.h"
#include "core/training/trainer.h"
#include "tests/support/tiny_data.h"
#include "tests/support/tiny_domains.h"

namespace mformer {
namespace {

using testing::tiny_config;
using testing::tiny_model_with_domains;

// Losses are float32, sums of a few hundred of them double.
constexpr double kRounding = 1e-4;

/// Long documents, so that most windows lie in one.
TokenData long_documents(std::size_t tokens, std::size_t length, unsigned seed) {
  const TokenData short_ones = testing::tiny_tokens(tokens, seed);
  std::vector<std::uint32_t> ids = short_ones.tokens().all();
  std::vector<std::uint64_t> starts;
  for (std::size_t i = 0; i <= tokens; i += length) starts.push_back(i);
  return TokenData::in_memory(std::move(ids), std::move(starts));
}

/// Follows every row token by token, all hypotheses over all of it.
PosteriorLosses naive(const Model& model, const Batch& batch) {
  const std::vector<Model> views = views_of(model);
  std::vector<at::Tensor> losses;
  at::Tensor targets = batch.targets.clone();
  for (const Model& view : views) {
    losses.push_back(token_losses(view, forward(view, batch.inputs).hidden, targets, false).view(targets.sizes()));
  }
  PosteriorLosses result{at::zeros(targets.sizes(), at::kDouble), {}};
  for (std::int64_t row = 0; row < targets.size(0); ++row) {
    Posterior posterior(model.domains.size(), {});
    for (std::int64_t t = 0; t < batch.lengths[row]; ++t) {
      const auto& starts = batch.starts[row];
      if (std::find(starts.begin(), starts.end(), t) != starts.end()) posterior.restart();
      std::vector<double> seen;
      for (const at::Tensor& loss : losses) seen.push_back(-loss[row][t].item<double>());
      result.losses[row][t] = posterior.observe(seen);
    }
  }
  return result;
}

Batch first_windows(const TokenData& data, std::int64_t context, std::int64_t rows) {
  const PackedWindows windows(data, context, LastWindow::pad);
  std::vector<std::int64_t> indices;
  for (std::int64_t i = 0; i < rows; ++i) indices.push_back(i);
  return batch_of(windows, indices);
}

PosteriorEvaluator evaluator(const Model& model, PosteriorMode mode = PosteriorMode::strict) {
  return {views_of(model), {}, false, mode};
}

TEST(PosteriorEvaluator, IsTheMixtureTokenByToken) {
  const Model model = tiny_model_with_domains(tiny_config(), 0.1);
  for (const PosteriorMode mode : {PosteriorMode::strict, PosteriorMode::fast}) {  // so near that nothing rests
    for (const std::int64_t context : {12, 80}) {
      const Batch batch = first_windows(testing::tiny_tokens(400), context, 4);
      const at::Tensor expected = naive(model, batch).losses, actual = evaluator(model, mode).losses(batch).losses;
      EXPECT_LE((actual - expected).abs().max().item<double>(), kRounding) << to_string(mode);
    }
  }
}

TEST(PosteriorEvaluator, CountsDocumentsAndTokens) {
  const PosteriorLosses result =
      evaluator(tiny_model_with_domains()).losses(first_windows(testing::tiny_tokens(90), 40, 3));
  // Documents begin at tokens 0, 20, 40 …; windows at 0, 40 and 80, whose first tokens begin documents, too. The first
  // token of a window is given; 89 tokens follow another.
  EXPECT_EQ(result.documents, 7);
  EXPECT_EQ(result.observed, 89);
}

TEST(PosteriorEvaluator, LetsHypothesesRestWithoutBetteringTheExactLoss) {
  const Model model = tiny_model_with_domains(tiny_config(), 0.6);  // far apart: one is soon left
  const Batch batch = first_windows(long_documents(1200, 600, 1), 128, 8);
  const PosteriorLosses exact = evaluator(model).losses(batch);
  const PosteriorLosses lazy = evaluator(model, PosteriorMode::fast).losses(batch);
  const at::Tensor resting = lazy.weights.eq(0).any(2).any(1);
  EXPECT_GT(resting.sum().item<std::int64_t>(), 4) << "nothing rested";
  EXPECT_TRUE(exact.weights.gt(0).all().item<bool>()) << "something rested";
  const at::Tensor more = (lazy.losses - exact.losses).sum(1);
  EXPECT_GE(more.min().item<double>(), -kRounding * 128);
  EXPECT_LE(more.max().item<double>(), 0.3)
      << "what is lost by resting: readiness to switch, a few thousandths a token";
}

TEST(PosteriorEvaluator, WakesTheOthersWhenATextChangesItsDomain) {
  // Two models that each have learned one text; a window that begins with the one and goes on with the other.
  Model model = testing::tiny_model();
  const TokenData text = long_documents(3000, 3000, 1);
  Model learned = clone(model);
  TrainTask task;
  task.model = &learned;
  task.parameters = make_trainable(learned, [](const ParameterRef&) { return true; });
  task.batches = shuffled_batches(PackedWindows(text, 24, LastWindow::drop), 1, 8);
  TrainOptions options;
  options.steps = 60;
  options.learning_rate = 1e-2;
  train(task, options, {});
  make_untrainable(learned);
  std::vector<std::uint32_t> ids = text.tokens().read(0, 64);
  while (ids.size() < 128) {  // what the other finds likeliest
    const at::Tensor so_far = at::tensor(std::vector<std::int64_t>(ids.begin(), ids.end())).unsqueeze(0);
    const at::Tensor next = logits_of(model, forward(model, so_far).hidden)[0][-1].argmax();
    ids.push_back(static_cast<std::uint32_t>(next.item<std::int64_t>()));
  }
  const Batch batch = first_windows(TokenData::in_memory(ids, {0, 128}), 127, 1);
  const PosteriorEvaluator both({model, learned}, {}, false, PosteriorMode::fast);
  const PosteriorLosses losses = both.losses(batch);
  const PosteriorLosses exact = PosteriorEvaluator({model, learned}, {}, false).losses(batch);
  EXPECT_GT(losses.weights[0][50][1].item<double>(), 0.9);
  EXPECT_GT(losses.weights[0][120][0].item<double>(), 0.5) << "the other hypothesis slept on";
  EXPECT_NEAR(losses.losses.sum().item<double>(), exact.losses.sum().item<double>(), 0.3);
}

TEST(PosteriorEvaluator, JudgesByPromptsThatCountForNoLoss) {
  const Model model = tiny_model_with_domains(tiny_config(), 0.5);
  const TokenData plain = long_documents(240, 240, 1);
  std::vector<std::uint32_t> ids = plain.tokens().all();
  for (std::size_t t = 0; t < 20; ++t) ids[t] |= TokenData::kNoLoss;
  const Batch batch = first_windows(TokenData::in_memory(ids, {0, 240}), 24, 1);
  const Batch whole = first_windows(plain, 24, 1);
  const PosteriorEvaluator evaluate = evaluator(model);
  EXPECT_TRUE(evaluate.losses(batch).weights.equal(evaluate.losses(whole).weights));
}

TEST(PosteriorEvaluator, TellsTheLikeliestHypothesisOfEachRow) {
  const Model model = tiny_model_with_domains(tiny_config(), 0.5);
  const Batch batch = first_windows(long_documents(600, 600, 1), 64, 5);
  const at::Tensor weights = evaluator(model).losses(batch).weights.sum(1);
  const auto likeliest = evaluator(model).likeliest(batch);
  ASSERT_EQ(likeliest.size(), 5);
  for (std::int64_t row = 0; row < 5; ++row) {
    EXPECT_EQ(weights[row].argmax().item<std::int64_t>(), static_cast<std::int64_t>(likeliest[row]));
  }
}

TEST(EvaluateWithDomains, IsTheMeanOfTheMixture) {
  const Model model = tiny_model_with_domains(tiny_config(), 0.1);
  const PackedWindows windows(testing::tiny_tokens(90), 40, LastWindow::pad);
  const Evaluation result = evaluate(model, windows);
  const Batch batch = batch_of(windows, {0, 1, 2});
  EXPECT_NEAR(result.loss, naive(model, batch).losses.sum().item<double>() / 89, kRounding);
  EXPECT_EQ(result.tokens, 89);
  ASSERT_TRUE(result.posterior.has_value());
  EXPECT_EQ(result.posterior->documents, 7);
  double sum = 0;
  for (const double share : result.posterior->shares) sum += share;
  EXPECT_NEAR(sum, 1.0, 1e-9);
}

}  // namespace
}  // namespace mformer
