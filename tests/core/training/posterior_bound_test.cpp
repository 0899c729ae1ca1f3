// The bound that is printed, over hostile texts. The posterior sees a text as what each hypothesis gives to each token,
// so that most texts here are tables of numbers; some hundred are read by a model.

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <limits>
#include <random>

#include "core/training/evaluate.h"
#include "core/training/evaluate_posterior.h"
#include "core/training/mix_posterior.h"
#include "tests/support/tiny_data.h"
#include "tests/support/tiny_domains.h"

namespace mformer {
namespace {

using Random = std::mt19937_64;

double uniform(Random& random, double low, double high) {
  return std::uniform_real_distribution<double>(low, high)(random);
}

std::int64_t between(Random& random, std::int64_t low, std::int64_t high) {
  return std::uniform_int_distribution<std::int64_t>(low, high)(random);
}

/// Whose text each token is.
using Labels = std::vector<std::int64_t>;

enum class Shape { pure, opening, middle, ending, lines, any };
constexpr std::array<Shape, 6> kShapes = {Shape::pure,   Shape::opening, Shape::middle,
                                          Shape::ending, Shape::lines,   Shape::any};

/// A text of `own` with a quotation of `other`, or lines of both in turn.
Labels labels(Shape shape, std::int64_t tokens, std::int64_t own, std::int64_t other, Random& random) {
  Labels all(tokens, own);
  const std::int64_t length = std::min(tokens, between(random, 1, 48)), line = between(random, 1, 20);
  for (std::int64_t t = 0; t < tokens; ++t) {
    const bool quoted = shape == Shape::opening  ? t < length
                        : shape == Shape::middle ? t >= tokens / 2 && t < tokens / 2 + length
                        : shape == Shape::ending ? t >= tokens - length
                        : shape == Shape::lines  ? t / line % 2 == 1
                                                 : shape == Shape::any && between(random, 0, 1) == 1;
    if (quoted) all[t] = other;
  }
  return all;
}

/// One window with what each hypothesis gives to its tokens.
struct TableText {
  Batch batch;
  at::Tensor log_probs;  // [1, tokens, hypotheses]
};

/// A window of documents of `document` tokens, of which the first `prompt` count for no loss.
Batch one_window(std::int64_t tokens, std::int64_t document, std::int64_t prompt) {
  Batch batch{at::zeros({1, tokens}, at::kLong), at::zeros({1, tokens}, at::kLong), {}, {tokens}, {{}}};
  for (std::int64_t t = 0; t < tokens; ++t) {
    if (t > 0 && t % document == 0) batch.starts[0].push_back(t);
    // What follows the window's last token is known only where it counts.
    if (t % document < prompt && t + 1 < tokens) batch.targets[0][t] = PackedWindows::kIgnore;
  }
  return batch;
}

/// Who knows a text finds it cheap; others pay up to 9 nats a token, or in `crushed` texts up to 60.
at::Tensor given(const Labels& whose, std::int64_t hypotheses, bool crushed, Random& random) {
  at::Tensor table = at::empty({1, static_cast<std::int64_t>(whose.size()), hypotheses}, at::kDouble);
  auto value = table.accessor<double, 3>();
  for (std::size_t t = 0; t < whose.size(); ++t) {
    for (std::int64_t h = 0; h < hypotheses; ++h) {
      const bool knows = whose[t] == h;
      value[0][static_cast<std::int64_t>(t)][h] =
          -(knows ? uniform(random, 0.0, 3.0) : uniform(random, 1.0, crushed ? 60.0 : 9.0));
    }
  }
  return table;
}

double counted(const PosteriorLosses& result, const Batch& batch) {
  return (result.losses * batch.targets.ne(PackedWindows::kIgnore)).sum().item<double>();
}

/// loss() of the mixture of the base and `domains` domains, as a model without the others has it.
double loss_with(const TableText& text, std::int64_t domains) {
  const at::Tensor seen = text.log_probs.narrow(2, 0, domains + 1).contiguous();
  return counted(mix_posterior(text.batch, seen, {}, PosteriorMode::strict), text.batch);
}

/// How far the text stays below its bounds, against the base and every earlier mixture: the least distance, in nats.
double distance(const TableText& text) {
  const PosteriorLosses result = mix_posterior(text.batch, text.log_probs, {}, PosteriorMode::strict);
  double least = std::numeric_limits<double>::infinity();
  for (std::size_t k = 0; k < result.earlier.size(); ++k) {
    const double before = loss_with(text, static_cast<std::int64_t>(k));
    least = std::min(least, before + result.earlier[k].bound - counted(result, text.batch));
  }
  return least;
}

/// Leaves a test's figures where a reader of its output, or of its XML, finds them.
void record_distance(const char* test, std::int64_t texts, double least) {
  ::testing::Test::RecordProperty("texts", std::to_string(texts));
  ::testing::Test::RecordProperty("least_distance_nats", std::to_string(least));
  std::printf("%s: %lld texts, least distance to the bound %.3g nats\n", test, static_cast<long long>(texts), least);
}

TEST(StrictBound, HoldsForThousandsOfHostileTexts) {
  Random random(1);
  std::int64_t texts = 0;
  double least = std::numeric_limits<double>::infinity();
  for (const std::int64_t tokens : {64, 512}) {
    for (const std::int64_t document : {20L, 64L, 512L}) {
      for (const std::int64_t hypotheses : {2, 4, 7}) {
        for (const Shape shape : kShapes) {
          for (int i = 0; i < 40; ++i, ++texts) {
            const std::int64_t own = i % hypotheses, other = (own + between(random, 1, hypotheses - 1)) % hypotheses;
            const std::int64_t prompt = i % 4 == 3 ? between(random, 1, std::min(document, tokens) - 2) : 0;
            const TableText text{one_window(tokens, document, prompt),
                                 given(labels(shape, tokens, own, other, random), hypotheses, i % 8 > 5, random)};
            const double one = distance(text);
            ASSERT_GE(one, 0.0) << "shape " << static_cast<int>(shape) << ", window " << tokens << ", documents of "
                                << document << ", " << hypotheses << " hypotheses, prompt " << prompt;
            least = std::min(least, one);
          }
        }
      }
    }
  }
  record_distance("tables", texts, least);
}

TEST(StrictBound, HoldsAgainstASearchForWhatBreaksIt) {
  Random random(2);
  std::int64_t texts = 0;
  double least = std::numeric_limits<double>::infinity();
  for (int start = 0; start < 16; ++start) {
    const std::int64_t tokens = 24, hypotheses = 2 + start % 3, prompt = start % 2 == 0 ? 0 : 6;
    TableText text{one_window(tokens, 12, prompt),
                   given(Labels(tokens, start % hypotheses), hypotheses, false, random)};
    double best = distance(text);
    for (int step = 0; step < 400; ++step, ++texts) {
      TableText next{text.batch, text.log_probs.clone()};
      for (int change = between(random, 1, 4); change > 0; --change) {
        next.log_probs[0][between(random, 0, tokens - 1)][between(random, 0, hypotheses - 1)] =
            -uniform(random, 0.0, 1.0) * uniform(random, 0.0, 40.0);
      }
      const double one = distance(next);
      ASSERT_GE(one, 0.0) << "start " << start << ", step " << step;
      if (one < best) best = one, text = std::move(next);
    }
    least = std::min(least, best);
  }
  EXPECT_LT(least, 0.1) << "the search comes nowhere near the bound";
  record_distance("search", texts, least);
}

TEST(StrictBound, OfTextWithoutPromptsIsKnownBeforehand) {
  Random random(3);
  for (const std::int64_t document : {20L, 64L}) {
    const TableText text{one_window(64, document, 0), given(Labels(64, 2), 4, false, random)};
    const PosteriorLosses result = mix_posterior(text.batch, text.log_probs, {}, PosteriorMode::strict);
    const double documents = document == 20 ? 4 : 1;
    const std::vector<double> rates = switching_of(3);
    EXPECT_NEAR(result.earlier[0].bound, documents * std::log(2.0) - 64 * std::log1p(-rates[1] - rates[2] - rates[3]),
                1e-7);
    // The second and third domain against the mixture with the first: priors of the domains shrink from 1/2 to 1/6.
    EXPECT_NEAR(result.earlier[1].bound, documents * std::log(3.0) + 64 * (rates[2] + rates[3]), 64 * 1e-6);
  }
}

TEST(StrictBound, OfAnswersIsWhatThePromptsLeaveToTheBase) {
  Random random(4);
  const Batch batch = one_window(20, 20, 15);
  Labels whose(20, 1);
  const TableText misled{batch, given(whose, 2, false, random)};
  std::fill(whose.begin(), whose.begin() + 15, 0);
  const TableText plain{batch, given(whose, 2, false, random)};
  const auto bound = [&](const TableText& text) {
    return mix_posterior(text.batch, text.log_probs, {}, PosteriorMode::strict).earlier[0].bound;
  };
  EXPECT_GT(bound(misled), 5) << "the prompt took the text away from the base: at most ln 4096 and a little";
  EXPECT_LT(bound(misled), std::log(4096.0) + 0.01);
  EXPECT_LT(bound(plain), 0.05) << "the prompt was the base's";
}

// ---- With a model --------------------------------------------------------------------------------------------------

/// The base, and with one and two domains; the hypotheses are far apart.
std::array<Model, 3> generations() {
  const Model base = testing::tiny_model();
  std::array<Model, 3> all = {base, base, base};
  testing::add_domain(all[1], "german", testing::tuned_for_domain(base, 5, 0.6));
  testing::add_domain(all[2], "german", testing::tuned_for_domain(base, 5, 0.6));
  testing::add_domain(all[2], "python", testing::tuned_for_domain(base, 6, 0.6));
  return all;
}

/// [hypotheses] 160 tokens that each finds likely.
std::vector<std::vector<std::int64_t>> typical(const Model& model, Random& random) {
  constexpr std::int64_t kTokens = 160, kSeen = 16;
  std::vector<std::vector<std::int64_t>> all;
  for (const Model& view : views_of(model)) {
    std::vector<std::int64_t> ids = {between(random, 0, 59)};
    while (static_cast<std::int64_t>(ids.size()) < kTokens) {
      const auto first = ids.end() - std::min<std::int64_t>(kSeen, static_cast<std::int64_t>(ids.size()));
      const at::Tensor seen = at::tensor(std::vector<std::int64_t>(first, ids.end())).unsqueeze(0);
      const at::Tensor logits = logits_of(view, forward(view, seen).hidden)[0][-1].narrow(0, 0, 60);
      // Of the three likeliest, so that a text is no loop.
      ids.push_back(std::get<1>(logits.topk(3))[between(random, 0, 2)].item<std::int64_t>());
    }
    all.push_back(std::move(ids));
  }
  return all;
}

/// Documents of these labels, with prompts of `prompt` tokens.
TokenData quoted(const Labels& whose, std::int64_t document, std::int64_t prompt,
                 const std::vector<std::vector<std::int64_t>>& sources) {
  std::vector<std::uint32_t> ids;
  std::vector<std::uint64_t> starts;
  for (std::size_t t = 0; t < whose.size(); ++t) {
    const auto place = static_cast<std::int64_t>(t) % document;
    if (place == 0) starts.push_back(t);
    auto id = static_cast<std::uint32_t>(sources[whose[t]][t % sources[whose[t]].size()]);
    if (place == document - 1) id = 60;
    if (place < prompt) id |= TokenData::kNoLoss;
    ids.push_back(id);
  }
  starts.push_back(whose.size());
  return TokenData::in_memory(std::move(ids), std::move(starts));
}

TEST(StrictBound, HoldsForWhatModelsMeasureOfHostileTexts) {
  const at::NoGradGuard no_grad;
  Random random(5);
  const std::array<Model, 3> models = generations();
  const auto sources = typical(models[2], random);
  std::int64_t texts = 0;
  double least = std::numeric_limits<double>::infinity();
  for (int round = 0; round < 9; ++round) {
    for (const Shape shape : kShapes) {
      for (const std::int64_t document : {20L, 150L}) {
        const std::int64_t own = round % 3, other = (own + 1 + round / 3 % 2) % 3;
        const std::int64_t prompt = round % 2 == 0 ? 0 : between(random, 1, 15);
        const TokenData text = quoted(labels(shape, 150, own, other, random), document, prompt, sources);
        const PackedWindows windows(text, document == 20 ? 64 : 32, LastWindow::pad);
        const Evaluation after = evaluate(models[2], windows);
        for (std::size_t k = 0; k < 2; ++k, ++texts) {
          const double before = evaluate(models[k], windows).loss;
          const EarlierLoss& beside = after.posterior->earlier[k];
          ASSERT_NEAR(beside.loss, before, 1e-12) << "not the numbers of the version before";
          ASSERT_LE(after.loss, before + beside.bound) << "shape " << static_cast<int>(shape) << ", round " << round;
          least = std::min(least, before + beside.bound - after.loss);
        }
      }
    }
  }
  record_distance("model, nats per token", texts, least);
}

TEST(FastMode, IsNeverBetterThanTheStrictModeAndSaysThatItHasNoBound) {
  const at::NoGradGuard no_grad;
  Random random(6);
  const Model model = generations()[2];
  const auto sources = typical(model, random);
  EvaluateOptions fast;
  fast.mode = PosteriorMode::fast;
  double most = 0;
  for (int round = 0; round < 24; ++round) {
    const TokenData text = quoted(labels(kShapes[round % 6], 300, round % 3, (round + 1) % 3, random), 150, 0, sources);
    const PackedWindows windows(text, 64, LastWindow::pad);
    const Evaluation strict = evaluate(model, windows), other = evaluate(model, windows, fast);
    EXPECT_GE(other.loss, strict.loss - 1e-5) << "float32, other batches";
    EXPECT_TRUE(other.posterior->earlier.empty());
    most = std::max(most, other.loss - strict.loss);
  }
  EXPECT_GT(most, 1e-4) << "nothing rested";
}

}  // namespace
}  // namespace mformer
