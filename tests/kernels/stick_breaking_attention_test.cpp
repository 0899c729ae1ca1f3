// Stick-breaking attention against its formula, one weight at a time.

#include "kernels/stick_breaking_attention.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cmath>
#include <tuple>

#include "tests/kernels/attention_inputs.h"
#include "tests/support/naive_attention.h"
#include "tests/support/threads.h"
#include "tests/support/tolerance.h"

namespace mformer::kernels {
namespace {

using mformer::testing::naive_attention;
using mformer::testing::relative_error;
using mformer::testing::ThreadCount;
using testing::attention_inputs;
using testing::AttentionInputs;
using ::testing::Combine;
using ::testing::HasSubstr;
using ::testing::Values;

void expect_formula(const AttentionInputs& in, double tolerance, const std::optional<at::Tensor>& mask = std::nullopt) {
  const at::Tensor actual = stick_breaking_attention(in.query, in.key, in.value, mask);
  ASSERT_EQ(actual.scalar_type(), in.query.scalar_type());
  EXPECT_LE(relative_error(actual, naive_attention(in.query, in.key, in.value, mask)), tolerance);
}

/// A tile is 64 keys by 64 query rows, k a token.
class StickBreakingSizes : public ::testing::TestWithParam<std::tuple<std::int64_t, std::int64_t>> {};

TEST_P(StickBreakingSizes, MatchesTheFormulaAroundTheEdgesOfTiles) {
  const auto [tokens, k] = GetParam();
  expect_formula(attention_inputs(2, tokens, tokens, k, 2, 5), testing::kFloat64);
  expect_formula(attention_inputs(1, tokens, tokens, k, 1, 8, at::kFloat), testing::kFloat32);
}

TEST_P(StickBreakingSizes, MatchesTheFormulaWhenKeysAreCached) {
  const auto [tokens, k] = GetParam();
  for (const std::int64_t cached : {1, 63, 64, 65}) {
    expect_formula(attention_inputs(1, tokens, tokens + cached, k, 2, 4), testing::kFloat64);
  }
}

INSTANTIATE_TEST_SUITE_P(TokensAndChoices, StickBreakingSizes,
                         Combine(Values(1, 2, 15, 16, 17, 21, 22, 31, 32, 33, 63, 64, 65, 128, 197),
                                 Values(1, 2, 3, 4)));

class StickBreakingHeads : public ::testing::TestWithParam<std::tuple<std::int64_t, std::int64_t>> {};

TEST_P(StickBreakingHeads, MatchesTheFormulaForEveryNumberAndSizeOfHeads) {
  const auto [heads, head_size] = GetParam();
  expect_formula(attention_inputs(2, 70, 70, 2, heads, head_size), testing::kFloat64);
  expect_formula(attention_inputs(2, 70, 70, 2, heads, head_size, at::kFloat), testing::kFloat32);
  expect_formula(attention_inputs(2, 70, 70, 2, heads, head_size, at::kBFloat16), testing::kTwoBFloat16Roundings);
}

// A panel is 64 columns of a head: sizes on either side of one and of its vectors.
INSTANTIATE_TEST_SUITE_P(HeadsAndSizes, StickBreakingHeads,
                         Combine(Values(1, 2, 3), Values(1, 3, 16, 24, 63, 64, 65, 80, 128, 256)));

TEST(StickBreakingAttention, TakesMoreQueriesOfATokenThanABlockHasRows) {
  expect_formula(attention_inputs(1, 5, 9, 67, 2, 4), testing::kFloat64);
}

TEST(StickBreakingAttention, RoundsFloat16OnlyAtItsOutput) {
  // Half of 2^-11, the spacing of float16.
  expect_formula(attention_inputs(2, 197, 197, 2, 2, 17, at::kHalf), 2.5e-4);
}

TEST(StickBreakingAttention, RoundsBFloat16OnlyInItsWeightsAndOutput) {
  for (const std::int64_t tokens : {1, 63, 64, 65, 197}) {
    expect_formula(attention_inputs(2, tokens, tokens, 3, 2, 17, at::kBFloat16), testing::kTwoBFloat16Roundings);
    expect_formula(attention_inputs(2, tokens, tokens + 70, 2, 2, 64, at::kBFloat16), testing::kTwoBFloat16Roundings);
  }
}

/// Scores of about −7: a stick reaches the first of thousands of keys, so that every tile counts.
AttentionInputs with_lasting_sticks(AttentionInputs in) {
  in.query.select(-1, 0).fill_(7.0);
  in.key.select(-1, 0).fill_(-std::sqrt(static_cast<double>(in.key.size(-1))));
  return in;
}

TEST(StickBreakingAttention, MatchesTheFormulaWhereSticksLastForManyTiles) {
  expect_formula(with_lasting_sticks(attention_inputs(1, 700, 700, 2, 1, 16)), testing::kFloat64);
  expect_formula(with_lasting_sticks(attention_inputs(1, 700, 700, 2, 1, 16, at::kFloat)), testing::kFloat32);
  expect_formula(with_lasting_sticks(attention_inputs(1, 700, 700, 2, 1, 16, at::kBFloat16)),
                 testing::kTwoBFloat16Roundings);
}

TEST(StickBreakingAttention, SkipsPaddedKeysOnEitherSideAndInTheMiddle) {
  const AttentionInputs in = attention_inputs(4, 130, 130, 2, 2, 4);
  at::Tensor mask = at::ones({4, 130}, at::kBool);
  mask[0].narrow(0, 0, 70).fill_(false);   // left
  mask[1].narrow(0, 61, 69).fill_(false);  // right
  mask[2].narrow(0, 40, 50).fill_(false);
  expect_formula(in, testing::kFloat64, mask);
  expect_formula(in, testing::kFloat64, at::rand({4, 130}).gt(0.5));
}

TEST(StickBreakingAttention, ReadsNothingWhereEveryKeyIsPadded) {
  const AttentionInputs in = attention_inputs(2, 70, 70, 2, 1, 4, at::kFloat);
  at::Tensor mask = at::ones({2, 70}, at::kBool);
  mask[1].fill_(false);
  const at::Tensor output = stick_breaking_attention(in.query, in.key, in.value, mask);
  EXPECT_TRUE(output[1].equal(at::zeros_like(output[1])));
  EXPECT_TRUE(output[0].equal(stick_breaking_attention(in.query, in.key, in.value)[0]));
}

TEST(StickBreakingAttention, WeightsOfOneQueryAreNotNegativeAndSumToAtMostOne) {
  AttentionInputs in = attention_inputs(1, 130, 130, 2, 2, 8, at::kFloat);
  in.value.fill_(1.0);
  const at::Tensor sums = stick_breaking_attention(in.query, in.key, in.value);
  EXPECT_LE(sums.max().item<double>(), 1.0 + 1e-6);
  EXPECT_GT(sums.min().item<double>(), 0.0);
}

TEST(StickBreakingAttention, GivesTheFirstTokenHalfOfItsOwnValueWhenScoresAreZero) {
  AttentionInputs in = attention_inputs(1, 3, 3, 1, 1, 2);
  in.query.zero_();
  in.value = at::tensor({1.0, 0.0, 0.0, 1.0, 2.0, 2.0}, at::kDouble).view({1, 3, 1, 2});
  const at::Tensor output = stick_breaking_attention(in.query, in.key, in.value).view({3, 2});
  const at::Tensor expected = at::tensor({0.5, 0.0, 0.25, 0.5, 1.125, 1.25}, at::kDouble).view({3, 2});
  EXPECT_TRUE(output.allclose(expected, 0, 1e-15));
}

class ExtremeScores : public ::testing::TestWithParam<double> {};

TEST_P(ExtremeScores, StayFiniteAndMatchTheFormula) {
  for (const at::ScalarType dtype : {at::kFloat, at::kDouble}) {
    AttentionInputs in = attention_inputs(1, 150, 150, 1, 1, 1, dtype);
    in.query.fill_(GetParam());
    for (const at::Tensor& key : {in.key.sign(), at::ones_like(in.key)}) {  // scores of both signs, then of one
      const at::Tensor actual = stick_breaking_attention(in.query, key, in.value);
      const at::Tensor expected = naive_attention(in.query, key, in.value);
      EXPECT_TRUE(actual.isfinite().all().item<bool>());
      // Weights such as e^-200 are nothing in float32: hence the absolute part.
      const double tolerance = dtype == at::kFloat ? testing::kFloat32 : testing::kFloat64;
      EXPECT_LE((actual.to(at::kDouble) - expected).norm().item<double>(),
                tolerance * expected.norm().item<double>() + 1e-30);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Scores, ExtremeScores, Values(-200.0, -50.0, 50.0, 200.0, 1e4));

TEST(StickBreakingAttention, GivesTheSameBitsInEveryRunAndWithEveryNumberOfThreads) {
  const AttentionInputs in = attention_inputs(2, 200, 200, 2, 3, 16, at::kFloat);
  const auto run = [&](int threads) {
    const ThreadCount count(threads);
    return stick_breaking_attention(in.query, in.key, in.value);
  };
  const at::Tensor one = run(1);
  EXPECT_TRUE(one.equal(run(1)));
  EXPECT_TRUE(one.equal(run(2)));
  EXPECT_TRUE(one.equal(run(3)));
}

TEST(StickBreakingAttention, TakesViewsThatAreNotContiguous) {
  const AttentionInputs in = attention_inputs(2, 70, 70, 2, 2, 4);
  const at::Tensor expected = stick_breaking_attention(in.query, in.key, in.value);
  const auto strided = [](const at::Tensor& x) { return x.transpose(0, 1).contiguous().transpose(0, 1); };
  EXPECT_TRUE(stick_breaking_attention(strided(in.query), strided(in.key), strided(in.value)).equal(expected));
}

TEST(StickBreakingAttention, ReadsCachesThatAreViewsOfALargerRoom) {
  for (const at::ScalarType dtype : {at::kFloat, at::kDouble, at::kBFloat16, at::kHalf}) {
    for (const std::int64_t tokens : {1, 2}) {
      const AttentionInputs in = attention_inputs(3, tokens, 130, 2, 2, 24, dtype);
      const at::Tensor expected = stick_breaking_attention(in.query, in.key, in.value);
      // What lies outside the view would spoil every sum. With `heads_first` the positions of a head are neighbours.
      const auto in_room = [](const at::Tensor& x, bool heads_first) {
        at::Tensor room = at::full({x.size(0), 200, x.size(2), x.size(3)}, NAN, x.options());
        if (heads_first) room = room.transpose(1, 2).contiguous().transpose(1, 2);
        room.narrow(1, 40, x.size(1)).copy_(x);
        return room.narrow(1, 40, x.size(1));
      };
      for (const bool heads_first : {false, true}) {
        const at::Tensor key = in_room(in.key, heads_first), value = in_room(in.value, heads_first);
        EXPECT_TRUE(stick_breaking_attention(in.query, key, value).equal(expected)) << dtype << ' ' << heads_first;
      }
    }
  }
}

class Decoding : public ::testing::TestWithParam<std::tuple<std::int64_t, std::int64_t, std::int64_t>> {};

TEST_P(Decoding, MatchesTheFormulaForEveryNumberOfHeadsAndChoices) {
  const auto [heads, k, head_size] = GetParam();
  at::Tensor mask = at::ones({2, 140}, at::kBool);
  mask[1].narrow(0, 0, 80).fill_(false);
  expect_formula(attention_inputs(2, 1, 140, k, heads, head_size), testing::kFloat64, mask);
  expect_formula(attention_inputs(2, 1, 140, k, heads, head_size, at::kFloat), testing::kFloat32, mask);
  expect_formula(attention_inputs(2, 1, 140, k, heads, head_size, at::kBFloat16), testing::kTwoBFloat16Roundings, mask);
}

// Sixteen rows go together: on either side of that, and heads that do not share out evenly.
INSTANTIATE_TEST_SUITE_P(HeadsAndChoices, Decoding, Combine(Values(1, 5, 16), Values(1, 2, 16, 17), Values(7, 64)));

TEST(StickBreakingAttention, DecodesToTheSameBitsWithEveryNumberOfThreads) {
  const AttentionInputs in = attention_inputs(1, 1, 300, 2, 12, 16, at::kFloat);
  const auto run = [&](int threads) {
    const ThreadCount count(threads);
    return stick_breaking_attention(in.query, in.key, in.value);
  };
  EXPECT_TRUE(run(1).equal(run(2)));
  EXPECT_TRUE(run(1).equal(run(3)));
}

TEST(StickBreakingAttention, DoesNotCopyTheCache) {
  const AttentionInputs in = attention_inputs(1, 1, 1 << 17, 1, 1, 64, at::kBFloat16);  // 16 MiB of keys
  const at::Tensor key = in.key.expand({64, -1, -1, -1});                               // 1 GiB each, if it were copied
  const at::Tensor query = in.query.expand({64, -1, -1, -1, -1});
  rusage before{}, after{};
  getrusage(RUSAGE_SELF, &before);
  const at::Tensor output = stick_breaking_attention(query, key, key);
  getrusage(RUSAGE_SELF, &after);
  EXPECT_TRUE(output[63].equal(output[0]));
  EXPECT_LT(after.ru_maxrss - before.ru_maxrss, 16 << 10);  // KiB
}

TEST(StickBreakingAttention, LeavesItsInputsAlone) {
  const AttentionInputs in = attention_inputs(1, 70, 70, 2, 2, 4);
  const at::Tensor q = in.query.clone(), k = in.key.clone(), v = in.value.clone();
  stick_breaking_attention(in.query, in.key, in.value);
  EXPECT_TRUE(in.query.equal(q) && in.key.equal(k) && in.value.equal(v));
}

/// What the error says when one argument is replaced.
std::string refusal(const AttentionInputs& in, const std::optional<at::Tensor>& mask = std::nullopt) {
  try {
    stick_breaking_attention(in.query, in.key, in.value, mask);
  } catch (const c10::Error& e) {
    return e.what_without_backtrace();
  }
  return "nothing was refused";
}

TEST(StickBreakingAttention, RefusesArgumentsThatDoNotFitByName) {
  const AttentionInputs in = attention_inputs(2, 5, 5, 2, 2, 4);
  EXPECT_THAT(refusal({in.query[0], in.key, in.value}), HasSubstr("query must be"));
  EXPECT_THAT(refusal({in.query, in.key[0], in.value}), HasSubstr("key must be"));
  EXPECT_THAT(refusal({in.query, in.key, in.value.narrow(1, 0, 4)}), HasSubstr("value must have key's sizes"));
  const at::Tensor short_key = in.key.narrow(1, 0, 4);
  EXPECT_THAT(refusal({in.query, short_key, short_key}), HasSubstr("key has 4 positions"));
  const at::Tensor one_head = in.key.narrow(2, 0, 1);
  EXPECT_THAT(refusal({in.query, one_head, one_head}), HasSubstr("does not fit query"));
  EXPECT_THAT(refusal({in.query, in.key.to(at::kFloat), in.value}), HasSubstr("share one floating dtype"));
  EXPECT_THAT(refusal({in.query.to(at::kLong), in.key.to(at::kLong), in.value.to(at::kLong)}), HasSubstr("dtype"));
  EXPECT_THAT(refusal(in, at::ones({2, 4}, at::kBool)), HasSubstr("key_mask must be"));
  EXPECT_THAT(refusal(in, at::ones({2, 5}, at::kLong)), HasSubstr("key_mask must be"));
}

}  // namespace
}  // namespace mformer::kernels
