#include "core/model/posterior.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>

namespace mformer {
namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();
// Sums of some hundred logarithms in double precision.
constexpr double kRounding = 1e-9;

using Text = std::vector<std::vector<double>>;  // [tokens][hypotheses] log-probabilities

/// What three hypotheses give to a text: each is right for a stretch of its own.
Text random_text(std::uint64_t seed, std::size_t tokens = 200, std::size_t hypotheses = 3) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> bad(1.0, 9.0), good(0.1, 3.0);
  Text text(tokens, std::vector<double>(hypotheses));
  for (std::size_t t = 0; t < tokens; ++t) {
    for (std::size_t h = 0; h < hypotheses; ++h) text[t][h] = -(t * hypotheses / tokens == h ? good : bad)(random);
  }
  return text;
}

double loss_of(const Text& text, const PosteriorOptions& options, std::size_t domains = 2) {
  Posterior posterior(domains, options);
  double loss = 0;
  for (const auto& token : text) loss += posterior.observe(token);
  return loss;
}

double loss_of_one(const Text& text, std::size_t h) {
  double loss = 0;
  for (const auto& token : text) loss -= token[h];
  return loss;
}

/// Bayes' rule over whole texts: −ln Σ π_h P_h(text), in the log domain.
double bayes(const Text& text, const std::vector<double>& prior) {
  std::vector<double> logs;
  for (std::size_t h = 0; h < prior.size(); ++h) logs.push_back(std::log(prior[h]) - loss_of_one(text, h));
  const double most = *std::max_element(logs.begin(), logs.end());
  double sum = 0;
  for (const double one : logs) sum += std::exp(one - most);
  return -(most + std::log(sum));
}

TEST(Posterior, IsBayesRuleOverTextsWithoutSwitching) {
  PosteriorOptions options;
  options.switching = 0;
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const Text text = random_text(seed);
    EXPECT_NEAR(loss_of(text, options), bayes(text, prior_of(2, options)), kRounding * 1000);
  }
}

TEST(Posterior, CostsNoMoreThanItsBoundAgainstAnyHypothesis) {
  const PosteriorOptions options;
  const std::vector<double> prior = prior_of(2, options);
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const Text text = random_text(seed);
    for (std::size_t h = 0; h < 3; ++h) {
      double leaving = 0;
      for (std::size_t g = 0; g < 3; ++g) leaving += g == h ? 0 : switching_of(2, options)[g];
      const double bound = -std::log(prior[h]) - static_cast<double>(text.size()) * std::log1p(-leaving);
      EXPECT_LE(loss_of(text, options), loss_of_one(text, h) + bound + kRounding);
    }
  }
}

TEST(Posterior, FollowsATextThatChangesItsDomainAtTheCostOfTheSwitches) {
  const PosteriorOptions options;
  const Text text = random_text(3);
  double knowing = 0;  // who knows the switches pays each token's best hypothesis
  for (std::size_t t = 0; t < text.size(); ++t) knowing -= text[t][t * 3 / text.size()];
  const double a_switch = std::log(2048.0) + std::log(6.0);  // to the second domain
  EXPECT_LE(loss_of(text, options), knowing + std::log(2.0) + 2 * a_switch + 0.2);
  PosteriorOptions rigid;
  rigid.switching = 0;
  EXPECT_GT(loss_of(text, rigid), loss_of(text, options) + 100);
}

TEST(Posterior, IsNeverBetterThanExactWhereHypothesesRest) {
  const PosteriorOptions options;
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    const Text text = random_text(seed);
    Text resting = text;
    for (std::size_t t = 40; t < 120; ++t) resting[t][seed % 3] = kNever;
    EXPECT_GE(loss_of(resting, options), loss_of(text, options) - kRounding);
  }
}

TEST(Posterior, GivesTheBaseHalfAndTheDomainsTheRest) {
  EXPECT_EQ(prior_of(0), (std::vector<double>{1.0}));
  EXPECT_EQ(prior_of(2), (std::vector<double>{0.5, 0.25, 0.25}));
}

TEST(Posterior, OfOneHypothesisIsThatHypothesis) {
  const Text text = random_text(1, 50, 1);
  EXPECT_DOUBLE_EQ(loss_of(text, {}, 0), loss_of_one(text, 0));
}

TEST(Posterior, ForgetsTheLastDocument) {
  Posterior posterior(1, {});
  for (int i = 0; i < 9; ++i) posterior.observe(std::vector<double>{-9.0, -1.0});
  EXPECT_GT(posterior.weights()[1], 0.99);
  posterior.restart();
  EXPECT_EQ(posterior.weights(), prior_of(1));
}

TEST(Posterior, SwitchesToAHypothesisAtARateThatDoesNotDependOnLaterOnes) {
  const std::vector<double> few = switching_of(1), many = switching_of(40);
  EXPECT_EQ(few, (std::vector<double>{1.0 / 4096, 1.0 / 4096}));
  EXPECT_TRUE(std::equal(few.begin(), few.end(), many.begin()));
  EXPECT_LT(std::accumulate(many.begin(), many.end(), 0.0), 1.5 / 2048) << "however many there are";
}

TEST(Posterior, ReportsATokenThatNobodyThoughtPossibleAndGoesOn) {
  Posterior posterior(1, {});
  EXPECT_EQ(posterior.observe(std::vector<double>{kNever, kNever}), -kNever);
  EXPECT_EQ(posterior.weights(), prior_of(1));
}

TEST(Posterior, KeepsTheOnlyHypothesisWithWeightHoweverFarBehindItIs) {
  Posterior posterior(1, without_switching({}));
  posterior.observe(std::vector<double>{-1, -900});  // 900 nats: the other's weight is no number of double precision
  EXPECT_NEAR(posterior.observe(std::vector<double>{-2000, -1}), 2000, kRounding);
}

TEST(EarlierMixture, OfTheBaseAloneIsItsLoss) {
  const Text text = random_text(4);
  Posterior all(2, {});
  EarlierMixture base(0, 2, {});
  for (const auto& token : text) {
    base.observe(token, all.weights(), true);
    all.observe(token);
  }
  EXPECT_DOUBLE_EQ(base.loss(), loss_of_one(text, 0));
  const double staying = -std::log1p(-(1.0 / 2 + 1.0 / 6) / 2048);
  EXPECT_NEAR(base.bound(), std::log(2.0) + 200 * staying, 1e-7) << "known before the text is";
}

}  // namespace
}  // namespace mformer
