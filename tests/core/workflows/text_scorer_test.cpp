#include "core/decoding/text_scorer.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <random>

#include "core/model/domains.h"
#include "core/training/mix_posterior.h"
#include "tests/support/expect_error.h"
#include "tests/support/tiny_domains.h"

namespace mformer {
namespace {

using testing::tiny_config;
using testing::tiny_model;
using testing::tiny_model_with_domains;

using Ids = std::vector<std::int64_t>;

/// Log-probabilities in float32 of sums in another order.
constexpr double kRounding = 2e-5;

constexpr std::int64_t kVocabulary = 61;

Ids random_ids(std::mt19937& random, std::size_t count) {
  Ids ids(count);
  for (auto& id : ids) id = static_cast<std::int64_t>(random() % kVocabulary);
  return ids;
}

/// ln p of every token but the first, by a pass over the whole text and the posterior as evaluation has it.
std::vector<double> by_one_pass(const Model& model, const Ids& ids) {
  const at::NoGradGuard no_grad;
  const at::Tensor input = at::tensor(ids).unsqueeze(0);
  std::vector<at::Tensor> rows;
  for (const Model& view : views_of(model)) {
    rows.push_back(logits_of(view, forward(view, input).hidden)[0].to(at::kDouble).log_softmax(-1));
  }
  Posterior posterior(model.domains.size(), {});
  std::vector<double> log_probs;
  for (std::size_t t = 1; t < ids.size(); ++t) {
    std::vector<double> seen;
    for (const at::Tensor& row : rows) seen.push_back(row[static_cast<std::int64_t>(t) - 1][ids[t]].item<double>());
    log_probs.push_back(-posterior.observe(seen));
  }
  return log_probs;
}

void expect_scores(TextScorer& scorer, const Model& model, const Ids& ids, std::size_t first) {
  const std::vector<double> all = by_one_pass(model, ids), scored = scorer.score(ids, first);
  ASSERT_EQ(scored.size(), ids.size() - first);
  for (std::size_t i = 0; i < scored.size(); ++i) EXPECT_NEAR(scored[i], all[first - 1 + i], kRounding) << i;
}

/// Texts that begin alike in every way: longer, shorter, equal, different from some token on, asked for from earlier.
void expect_any_order_of_texts(const Model& model, std::uint32_t seed) {
  std::mt19937 random(seed);
  TextScorer scorer(clone(model), at::kFloat);
  Ids text = random_ids(random, 12);
  for (int round = 0; round < 40; ++round) {
    text.resize(1 + random() % text.size());
    const Ids more = random_ids(random, 1 + random() % 6);
    if (random() % 4 != 0) text.insert(text.end(), more.begin(), more.end());
    if (text.size() < 2) continue;
    SCOPED_TRACE("round " + std::to_string(round));
    expect_scores(scorer, model, text, 1 + random() % (text.size() - 1));
  }
}

TEST(TextScorer, GivesWhatOnePassOverTheTextGivesWhateverWasReadBefore) {
  expect_any_order_of_texts(tiny_model(), 5);
  expect_any_order_of_texts(tiny_model(), 6);
}

TEST(TextScorer, MixesHypothesesAsEvaluationDoesWhateverWasReadBefore) {
  expect_any_order_of_texts(tiny_model_with_domains(tiny_config(), 0.05), 7);
  expect_any_order_of_texts(tiny_model_with_domains(tiny_config(), 0.8), 8);
}

TEST(TextScorer, ReadsALongTextInPiecesToTheSameEnd) {
  std::mt19937 random(9);
  const Model model = tiny_model();
  TextScorer scorer(clone(model), at::kFloat);
  expect_scores(scorer, model, random_ids(random, 600), 300);
}

TEST(TextScorer, ReadsWhatTextsShareOnce) {
  std::mt19937 random(10);
  TextScorer scorer(tiny_model(), at::kFloat);
  Ids text = random_ids(random, 50);
  text.push_back(1);
  scorer.score(text, 50);
  EXPECT_EQ(scorer.tokens_read(), 50) << "the last token predicts nothing that is asked for";
  text.back() = 2;
  scorer.score(text, 50);
  EXPECT_EQ(scorer.tokens_read(), 50) << "another answer of one token needs no pass";
  text.push_back(3);
  scorer.score(text, 50);
  EXPECT_EQ(scorer.tokens_read(), 51);
  text[50] = 4;
  scorer.score(text, 50);
  EXPECT_EQ(scorer.tokens_read(), 53) << "the end of what is shared, and the answer";
}

TEST(TextScorer, SaysSoWhereNumbersAreNotFinite) {
  for (Model model : {tiny_model(), tiny_model_with_domains(tiny_config(), 0.3)}) {
    model.ln_f.weight = at::full_like(model.ln_f.weight, std::numeric_limits<float>::quiet_NaN());
    TextScorer scorer(clone(model), at::kFloat);
    testing::expect_error<Error>([&] { scorer.score({1, 2, 3}, 1); }, "not finite numbers");
    testing::expect_error<Error>(
        [&] {
          scorer.go_on({1, 2}, 3, kVocabulary, [](std::int64_t) { return true; });
        },
        "not finite numbers");
  }
}

TEST(TextScorer, GoesOnWithTheLikeliestTokens) {
  for (const Model& model : {tiny_model(), tiny_model_with_domains(tiny_config(), 0.3)}) {
    TextScorer scorer(clone(model), at::kFloat);
    Ids text = {3, 1, 4, 1, 5};
    scorer.score({3, 1, 4, 2, 2, 2}, 2);
    const Ids drawn = scorer.go_on(text, 6, kVocabulary, [](std::int64_t) { return true; });
    ASSERT_EQ(drawn.size(), 6);
    for (const std::int64_t id : drawn) {
      double best = -std::numeric_limits<double>::infinity(), of_drawn = 0;
      for (std::int64_t other = 0; other < kVocabulary; ++other) {
        text.push_back(other);
        const double log_prob = by_one_pass(model, text).back();
        text.pop_back();
        best = std::max(best, log_prob);
        if (other == id) of_drawn = log_prob;
      }
      EXPECT_NEAR(of_drawn, best, kRounding);
      text.push_back(id);
    }
    const Ids few = scorer.go_on({3, 1, 4, 1, 5}, 6, kVocabulary, [&](std::int64_t id) { return id != drawn[2]; });
    EXPECT_LE(few.size(), 2);
    EXPECT_EQ(few, Ids(drawn.begin(), drawn.begin() + static_cast<std::ptrdiff_t>(few.size())));
  }
}

}  // namespace
}  // namespace mformer
