// How a token is drawn from what a model predicts.

#include "core/decoding/next_token.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "modules_registry/error.h"

namespace mformer {
namespace {

constexpr std::int64_t kDrawnFrom = 3000;

at::Tensor some_logits(std::uint64_t seed) {
  at::Generator generator = at::detail::createCPUGenerator(seed);
  return at::empty({kDrawnFrom}).normal_(0.0, 2.0, generator);
}

std::int64_t draw(const at::Tensor& logits, const Sampling& how, std::uint64_t seed = 7) {
  at::Generator generator = at::detail::createCPUGenerator(seed);
  return draw_token(logits, how, kDrawnFrom, generator);
}

/// The same by bringing all in order.
std::int64_t drawn_from_all(const at::Tensor& logits, const Sampling& how, std::uint64_t seed) {
  at::Generator generator = at::detail::createCPUGenerator(seed);
  const at::Tensor x = logits.to(at::kDouble);
  auto [sorted, order] = at::sort(at::softmax((x - x.max()) / how.temperature, 0), /*stable=*/true, 0, true);
  std::int64_t kept = how.top_k > 0 ? std::min(how.top_k, kDrawnFrom) : kDrawnFrom;
  if (how.top_p < 1) {
    const at::Tensor before = sorted.cumsum(0) - sorted;
    kept = std::min(kept, std::max<std::int64_t>(1, before.lt(how.top_p).sum().item<std::int64_t>()));
  }
  const at::Tensor choice = at::multinomial(sorted.narrow(0, 0, kept), 1, false, generator);
  return order[choice.item<std::int64_t>()].item<std::int64_t>();
}

TEST(NextToken, IsTheOneThatSortingAllTokensGives) {
  const Sampling hows[] = {{.temperature = 0.8, .top_p = 0.95},
                           {.temperature = 1, .top_p = 0.999},
                           {.temperature = 1, .top_p = 0.01},
                           {.temperature = 3, .top_k = 200, .top_p = 0.9},
                           {.temperature = 1, .top_k = 5}};
  for (const Sampling& how : hows) {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      const at::Tensor logits = some_logits(seed);
      EXPECT_EQ(draw(logits, how, seed), drawn_from_all(logits, how, seed)) << how.top_k << " " << how.top_p;
    }
  }
}

TEST(NextToken, IsDrawnFromAllAsLikelyAsTheyAreWithoutALimit) {
  const at::Tensor logits = some_logits(3).narrow(0, 0, 8).contiguous();
  const at::Tensor p = at::softmax(logits.to(at::kDouble) / 1.5, 0);
  for (const std::int64_t top_k : {0, 8, 9999}) {
    at::Generator generator = at::detail::createCPUGenerator(11);
    constexpr int draws = 20000;
    std::vector<int> counts(8);
    for (int i = 0; i < draws; ++i) {
      ++counts[static_cast<std::size_t>(draw_token(logits, {.temperature = 1.5, .top_k = top_k}, 8, generator))];
    }
    for (std::int64_t id = 0; id < 8; ++id) {
      const double share = p[id].item<double>(), deviation = std::sqrt(share * (1 - share) / draws);
      EXPECT_NEAR(counts[static_cast<std::size_t>(id)] / static_cast<double>(draws), share, 5 * deviation) << id;
    }
  }
}

TEST(NextToken, IsTheLikeliestWithoutTemperatureAndTheFirstOfEquals) {
  at::Tensor logits = some_logits(1);
  logits[17] = 50, logits[2999] = 50;
  EXPECT_EQ(draw(logits, {.temperature = 0}), 17);
  EXPECT_EQ(draw(logits.to(at::kDouble), {.temperature = 0}), 17);
  EXPECT_EQ(draw(at::cat({logits, at::full({5}, 99.0)}), {.temperature = 0}), 17) << "rows that stand for no token";
}

TEST(NextToken, IsRefusedWhereLogitsAreNoNumbers) {
  const double bad[] = {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()};
  for (const double value : bad) {
    for (const std::int64_t place : {0, 5, 2999}) {
      at::Tensor logits = some_logits(1);
      logits[place] = value;
      EXPECT_THROW(draw(logits, {.temperature = 0}), Error);
      EXPECT_THROW(draw(logits, {.temperature = 1}), Error);
    }
  }
  EXPECT_THROW(draw(at::full({kDrawnFrom}, -std::numeric_limits<float>::infinity()), {.temperature = 0}), Error);
}

}  // namespace
}  // namespace mformer
