// Softmax attention against its formula, one query at a time.

#include "kernels/softmax_attention.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cmath>
#include <tuple>

#include "tests/kernels/attention_inputs.h"
#include "tests/support/naive_softmax_attention.h"
#include "tests/support/refusal.h"
#include "tests/support/threads.h"
#include "tests/support/tolerance.h"

namespace mformer::kernels {
namespace {

using mformer::testing::naive_softmax_attention;
using mformer::testing::refusal;
using mformer::testing::relative_error;
using mformer::testing::SoftmaxForm;
using mformer::testing::ThreadCount;
using testing::attention_inputs;
using testing::AttentionInputs;
using ::testing::Combine;
using ::testing::HasSubstr;
using ::testing::Values;

at::Tensor attend(const AttentionInputs& in, const SoftmaxForm& form) {
  return softmax_attention(in.query, in.key, in.value, form.key_mask, form.scale, form.window);
}

/// With gradients and without, which are computed by different loops for one token.
void expect_softmax_formula(const AttentionInputs& in, double tolerance, const SoftmaxForm& form = {}) {
  const at::Tensor expected = naive_softmax_attention(in.query, in.key, in.value, form);
  const at::Tensor training = attend(in, form);
  ASSERT_EQ(training.scalar_type(), in.query.scalar_type());
  EXPECT_LE(relative_error(training, expected), tolerance) << in.query.sizes() << in.key.sizes() << form.window;
  const at::NoGradGuard no_grad;
  EXPECT_LE(relative_error(attend(in, form), expected), tolerance) << in.query.sizes() << in.key.sizes() << form.window;
}

/// A tile is 64 keys by 64 query rows, k a token.
class SoftmaxSizes : public ::testing::TestWithParam<std::tuple<std::int64_t, std::int64_t>> {};

TEST_P(SoftmaxSizes, MatchesTheFormulaAroundTheEdgesOfTiles) {
  const auto [tokens, k] = GetParam();
  expect_softmax_formula(attention_inputs(2, tokens, tokens, k, 2, 5), testing::kFloat64);
  expect_softmax_formula(attention_inputs(1, tokens, tokens, k, 1, 8, at::kFloat), testing::kFloat32);
}

TEST_P(SoftmaxSizes, MatchesTheFormulaWhenKeysAreCached) {
  const auto [tokens, k] = GetParam();
  for (const std::int64_t cached : {1, 63, 64, 65}) {
    expect_softmax_formula(attention_inputs(1, tokens, tokens + cached, k, 2, 4), testing::kFloat64);
  }
}

TEST_P(SoftmaxSizes, MatchesTheFormulaWithinWindows) {
  const auto [tokens, k] = GetParam();
  for (const std::int64_t window : {1, 2, 63, 64, 65, 1000}) {
    expect_softmax_formula(attention_inputs(1, tokens, tokens + 70, k, 1, 4), testing::kFloat64, {0.5, window});
  }
}

INSTANTIATE_TEST_SUITE_P(TokensAndChoices, SoftmaxSizes,
                         Combine(Values(1, 2, 15, 21, 22, 32, 33, 63, 64, 65, 129), Values(1, 2, 3, 4)));

class SoftmaxHeads : public ::testing::TestWithParam<std::tuple<std::int64_t, std::int64_t>> {};

TEST_P(SoftmaxHeads, MatchesTheFormulaForEveryNumberAndSizeOfHeads) {
  const auto [heads, size] = GetParam();
  const SoftmaxForm form{1 / std::sqrt(static_cast<double>(size))};
  expect_softmax_formula(attention_inputs(2, 70, 70, 2, heads, size), testing::kFloat64, form);
  expect_softmax_formula(attention_inputs(2, 70, 70, 2, heads, size, at::kFloat), testing::kFloat32, form);
  expect_softmax_formula(attention_inputs(2, 70, 70, 2, heads, size, at::kBFloat16), testing::kTwoBFloat16Roundings,
                         form);
}

// A panel is 64 columns of a head: sizes on either side of one and of its vectors.
INSTANTIATE_TEST_SUITE_P(HeadsAndSizes, SoftmaxHeads,
                         Combine(Values(1, 3), Values(1, 3, 16, 63, 64, 65, 80, 128, 256)));

class SoftmaxDecoding : public ::testing::TestWithParam<std::tuple<std::int64_t, std::int64_t, std::int64_t>> {};

TEST_P(SoftmaxDecoding, MatchesTheFormulaForEveryNumberOfHeadsAndChoices) {
  const auto [heads, k, size] = GetParam();
  at::Tensor mask = at::ones({2, 140}, at::kBool);
  mask[1].narrow(0, 0, 80).fill_(false);
  for (const std::int64_t window : {0, 1, 40, 100}) {
    const SoftmaxForm form{1 / std::sqrt(static_cast<double>(size)), window, mask};
    expect_softmax_formula(attention_inputs(2, 1, 140, k, heads, size), testing::kFloat64, form);
    expect_softmax_formula(attention_inputs(2, 1, 140, k, heads, size, at::kFloat), testing::kFloat32, form);
    expect_softmax_formula(attention_inputs(2, 1, 140, k, heads, size, at::kBFloat16), testing::kTwoBFloat16Roundings,
                           form);
  }
}

// Sixteen rows go together: on either side of that, and heads that do not share out evenly.
INSTANTIATE_TEST_SUITE_P(HeadsAndChoices, SoftmaxDecoding,
                         Combine(Values(1, 5, 16), Values(1, 2, 16, 17), Values(7, 64)));

TEST(SoftmaxAttention, RoundsHalvesOnlyInWeightsAndOutput) {
  // Half of 2^-11, the spacing of float16.
  expect_softmax_formula(attention_inputs(2, 150, 150, 2, 2, 17, at::kHalf), 2.5e-4);
  for (const std::int64_t tokens : {1, 64, 150}) {
    expect_softmax_formula(attention_inputs(2, tokens, tokens + 70, 2, 2, 64, at::kBFloat16),
                           testing::kTwoBFloat16Roundings);
  }
}

TEST(SoftmaxAttention, TakesMoreQueriesOfATokenThanABlockHasRows) {
  expect_softmax_formula(attention_inputs(1, 5, 9, 67, 2, 4), testing::kFloat64);
}

TEST(SoftmaxAttention, RescalesWhatItReadWhereLargerScoresComeLater) {
  for (const at::ScalarType dtype : {at::kDouble, at::kFloat}) {
    const AttentionInputs in = attention_inputs(1, 300, 300, 1, 1, 2, dtype);
    in.query.fill_(1.0);
    in.key.copy_(at::arange(300, dtype).div(4).view({1, 300, 1, 1}).expand_as(in.key));  // e^37 a tile
    // Scores of 75 are good to 75 · 2^-24 in float32, and so are the weights.
    expect_softmax_formula(in, dtype == at::kDouble ? testing::kFloat64 : 2e-5, {0.5});
    expect_softmax_formula({in.query, in.key.flip(1), in.value}, dtype == at::kDouble ? testing::kFloat64 : 2e-5,
                           {0.5});
  }
}

TEST(SoftmaxAttention, StaysFiniteForScoresOfAnySize) {
  for (const double size : {-1e30, -1e4, -200.0, 200.0, 1e4, 1e30}) {
    const AttentionInputs in = attention_inputs(1, 150, 150, 1, 1, 1, at::kFloat);
    in.query.fill_(size);
    for (const at::Tensor& key : {in.key.sign(), at::ones_like(in.key)}) {
      const at::Tensor y = attend({in.query, key, in.value}, {1.0});
      EXPECT_LE(relative_error(y, naive_softmax_attention(in.query, key, in.value, {1.0})), testing::kFloat32) << size;
    }
  }
}

TEST(SoftmaxAttention, PassesNumbersThatAreNoneOn) {
  const AttentionInputs in = attention_inputs(1, 70, 70, 1, 1, 4, at::kFloat);
  in.query[0][66].fill_(NAN);
  const at::Tensor y = attend(in, {});
  EXPECT_TRUE(y[0][66].isnan().all().item<bool>());
  EXPECT_TRUE(y.narrow(1, 0, 66).isfinite().all().item<bool>());
}

TEST(SoftmaxAttention, SkipsPaddedKeysOnEitherSideAndInTheMiddle) {
  const AttentionInputs in = attention_inputs(4, 130, 130, 2, 2, 4);
  at::Tensor mask = at::ones({4, 130}, at::kBool);
  mask[0].narrow(0, 0, 70).fill_(false);   // left
  mask[1].narrow(0, 61, 69).fill_(false);  // right
  mask[2].narrow(0, 40, 50).fill_(false);
  expect_softmax_formula(in, testing::kFloat64, {0.5, 0, mask});
  expect_softmax_formula(in, testing::kFloat64, {0.5, 30, mask});  // rows whose whole window is padding
  expect_softmax_formula(in, testing::kFloat64, {0.5, 0, at::rand({4, 130}).gt(0.5)});
}

TEST(SoftmaxAttention, ReadsNothingWhereEveryKeyIsPadded) {
  const AttentionInputs in = attention_inputs(2, 70, 70, 2, 1, 4, at::kFloat);
  at::Tensor mask = at::ones({2, 70}, at::kBool);
  mask[1].fill_(false);
  const at::Tensor output = attend(in, {0.5, 0, mask});
  EXPECT_TRUE(output[1].equal(at::zeros_like(output[1])));
  EXPECT_TRUE(output[0].equal(attend(in, {0.5})[0]));
}

TEST(SoftmaxAttention, GivesTheSameBitsWithEveryNumberOfThreads) {
  const at::NoGradGuard no_grad;
  for (const auto& [tokens, keys] : {std::pair(200, 200), {1, 1500}, {5, 1500}}) {
    for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
      const AttentionInputs in = attention_inputs(1, tokens, keys, 3, 5, 16, dtype);
      const auto run = [&](int threads) {
        const ThreadCount count(threads);
        return attend(in, {});
      };
      const at::Tensor one = run(1);
      EXPECT_TRUE(one.equal(run(1)) && one.equal(run(2)) && one.equal(run(3))) << tokens << dtype;
    }
  }
}

TEST(SoftmaxAttention, ReadsCachesThatAreViewsOfALargerRoom) {
  const at::NoGradGuard no_grad;
  for (const at::ScalarType dtype : {at::kFloat, at::kDouble, at::kBFloat16, at::kHalf}) {
    for (const std::int64_t tokens : {1, 2}) {
      const AttentionInputs in = attention_inputs(3, tokens, 130, 2, 2, 24, dtype);
      const at::Tensor expected = attend(in, {});
      // What lies outside the view would spoil every sum. With `heads_first` the positions of a head are neighbours.
      const auto in_room = [](const at::Tensor& x, bool heads_first) {
        at::Tensor room = at::full({x.size(0), 200, x.size(2), x.size(3)}, NAN, x.options());
        if (heads_first) room = room.transpose(1, 2).contiguous().transpose(1, 2);
        room.narrow(1, 40, x.size(1)).copy_(x);
        return room.narrow(1, 40, x.size(1));
      };
      for (const bool heads_first : {false, true}) {
        EXPECT_TRUE(
            attend({in.query, in_room(in.key, heads_first), in_room(in.value, heads_first)}, {}).equal(expected))
            << dtype << ' ' << heads_first;
      }
    }
  }
}

TEST(SoftmaxAttention, DoesNotCopyTheCache) {
  const at::NoGradGuard no_grad;
  const AttentionInputs in = attention_inputs(1, 1, 1 << 17, 1, 1, 64, at::kBFloat16);  // 16 MiB of keys
  const at::Tensor key = in.key.expand({64, -1, -1, -1});                               // 1 GiB each, if it were copied
  const at::Tensor query = in.query.expand({64, -1, -1, -1, -1});
  rusage before{}, after{};
  getrusage(RUSAGE_SELF, &before);
  const at::Tensor output = attend({query, key, key}, {});
  getrusage(RUSAGE_SELF, &after);
  EXPECT_TRUE(output[63].equal(output[0]));
  EXPECT_LT(after.ru_maxrss - before.ru_maxrss, 16 << 10);  // KiB
}

TEST(SoftmaxAttention, TakesNothingAndLeavesItsInputsAlone) {
  EXPECT_EQ(attend(attention_inputs(0, 3, 5, 2, 2, 4), {}).sizes(), at::IntArrayRef({0, 3, 2, 2, 4}));
  EXPECT_EQ(attend(attention_inputs(2, 0, 5, 2, 2, 4), {}).sizes(), at::IntArrayRef({2, 0, 2, 2, 4}));
  EXPECT_EQ(attend(attention_inputs(2, 3, 5, 2, 0, 4), {}).sizes(), at::IntArrayRef({2, 3, 2, 0, 4}));
  const at::NoGradGuard no_grad;
  EXPECT_EQ(attend(attention_inputs(2, 1, 5, 0, 2, 4), {}).sizes(), at::IntArrayRef({2, 1, 0, 2, 4}));
  EXPECT_EQ(attend(attention_inputs(2, 1, 5, 2, 2, 0), {}).sizes(), at::IntArrayRef({2, 1, 2, 2, 0}));
  const AttentionInputs in = attention_inputs(1, 70, 70, 2, 2, 4);
  const at::Tensor q = in.query.clone(), k = in.key.clone(), v = in.value.clone();
  attend(in, {});
  EXPECT_TRUE(in.query.equal(q) && in.key.equal(k) && in.value.equal(v));
}

TEST(SoftmaxAttention, RefusesArgumentsThatDoNotFitByName) {
  const AttentionInputs in = attention_inputs(2, 5, 5, 2, 2, 4);
  const auto said = [](const AttentionInputs& x, const SoftmaxForm& form = {}) {
    return refusal([&] { attend(x, form); });
  };
  EXPECT_THAT(said({in.query[0], in.key, in.value}), HasSubstr("query must be"));
  EXPECT_THAT(said({in.query, in.key[0], in.value}), HasSubstr("key must be"));
  EXPECT_THAT(said({in.query, in.key, in.value.narrow(1, 0, 4)}), HasSubstr("value must have key's sizes"));
  const at::Tensor short_key = in.key.narrow(1, 0, 4);
  EXPECT_THAT(said({in.query, short_key, short_key}), HasSubstr("key has 4 positions"));
  const at::Tensor one_head = in.key.narrow(2, 0, 1);
  EXPECT_THAT(said({in.query, one_head, one_head}), HasSubstr("does not fit query"));
  EXPECT_THAT(said({in.query, in.key.to(at::kFloat), in.value}), HasSubstr("share one floating dtype"));
  EXPECT_THAT(said({in.query.to(at::kLong), in.key.to(at::kLong), in.value.to(at::kLong)}), HasSubstr("dtype"));
  EXPECT_THAT(said(in, {1, 0, at::ones({2, 4}, at::kBool)}), HasSubstr("key_mask must be"));
  EXPECT_THAT(said(in, {1, 0, at::ones({2, 5}, at::kLong)}), HasSubstr("key_mask must be"));
  EXPECT_THAT(said(in, {NAN}), HasSubstr("scale must be"));
  EXPECT_THAT(said(in, {1, -1}), HasSubstr("window must be"));
}

}  // namespace
}  // namespace mformer::kernels
