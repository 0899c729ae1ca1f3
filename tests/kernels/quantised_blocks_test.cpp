// Blocks of 8 and 4 bits: how far a weight is from its code, over random and extreme matrices.

#include "kernels/quantised_blocks.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/support/refusal.h"

namespace mformer::kernels {
namespace {

using mformer::testing::refusal;
using ::testing::HasSubstr;

/// What float16 rounds a minimum by, relatively, and the least difference between two float16.
constexpr double kHalfUlp = 1.0 / 2048, kLeastHalf = 1.0 / (1 << 24);

/// How far each weight may be off, [rows, inputs].
at::Tensor bound(const at::Tensor& weight, int bits) {
  const int64_t inputs = weight.size(1), groups = groups_of(inputs);
  at::Tensor bounds = at::empty_like(weight, at::kDouble);
  for (int64_t g = 0; g < groups; ++g) {
    const int64_t first = g * kGroupSize, count = std::min(kGroupSize, inputs - first);
    const at::Tensor group = weight.narrow(1, first, count).to(at::kDouble);
    at::Tensor most;
    if (bits == 8) {
      most = (group.abs().amax(1, true) / 127 * (1 + 2 * kHalfUlp) + kLeastHalf) / 2;
    } else {
      most = (group.amax(1, true) - group.amin(1, true)) / 15 * (1 + 2 * kHalfUlp) + 16 * kLeastHalf +
             group.abs().amax(1, true) * kHalfUlp;
    }
    bounds.narrow(1, first, count).copy_(most.expand({-1, count}));
  }
  return bounds;
}

std::vector<std::pair<const char*, at::Tensor>> matrices() {
  at::manual_seed(7);
  at::Tensor outlier = at::randn({5, 96}) * 0.01, mixed = at::randn({9, 70}), constant = at::full({4, 64}, 1000.25);
  outlier.index_put_({2, 40}, 50.0);
  for (int64_t r = 0; r < mixed.size(0); ++r) mixed[r] *= std::pow(10.0, static_cast<double>(r) - 6);
  constant[2].fill_(-0.001);
  return {{"normal", at::randn({33, 576})},
          {"one weight", at::randn({1, 1})},
          {"zeros", at::zeros({3, 40})},
          {"constant groups", constant},
          {"huge", at::randn({8, 33}).clamp(-1, 1) * kMostInBlocks},
          {"tiny", at::randn({8, 65}) * 1e-6},
          {"subnormal", at::randn({3, 32}) * 1e-39},
          {"one outlier", outlier},
          {"all above zero", at::rand({6, 31}) + 5},
          {"rows of many sizes", mixed}};
}

TEST(QuantisedBlocks, AreOffByHalfAStepInEightBitsAndOneStepInFourAtMost) {
  for (const auto& [name, weight] : matrices()) {
    for (const int bits : {8, 4}) {
      const at::Tensor blocks = quantize_blocks(weight, bits);
      EXPECT_EQ(blocks.sizes(), at::IntArrayRef({weight.size(0), groups_of(weight.size(1)), block_bytes(bits)}));
      EXPECT_EQ(bits_of(blocks), bits);
      EXPECT_TRUE(are_sound(blocks));
      const at::Tensor error = (dequantize_blocks(blocks, weight.size(1), at::kDouble) - weight.to(at::kDouble)).abs();
      EXPECT_TRUE((error <= bound(weight, bits)).all().item<bool>()) << name << " in " << bits;
    }
  }
}

TEST(QuantisedBlocks, KeepZeroAndTheLargestMagnitudeOfAGroupInEightBits) {
  at::manual_seed(1);
  at::Tensor weight = at::randn({16, 64});
  weight.select(1, 5).zero_();
  const at::Tensor values = dequantize_blocks(quantize_blocks(weight, 8), 64, at::kFloat);
  EXPECT_TRUE(values.select(1, 5).eq(0).all().item<bool>());
  EXPECT_LE((values.abs().amax(1) / weight.abs().amax(1) - 1).abs().max().item<double>(), 2 * kHalfUlp);
}

TEST(QuantisedBlocks, InFourBitsErrLessThanTheRangeCutIntoFifteenEqualSteps) {
  at::manual_seed(2);
  const at::Tensor weight = at::randn({256, 32});
  const at::Tensor least = weight.amin(1, true), step = (weight.amax(1, true) - least) / 15;
  const at::Tensor plain = ((weight - least) / step).round() * step + least;
  const at::Tensor searched = dequantize_blocks(quantize_blocks(weight, 4), 32, at::kFloat);
  EXPECT_LT((searched - weight).square().sum().item<double>(), 0.95 * (plain - weight).square().sum().item<double>());
}

TEST(QuantisedBlocks, AreMadeTheSameOfBfloat16AndOfTheSameNumbersInFloat32) {
  at::manual_seed(3);
  const at::Tensor weight = at::randn({7, 50}).to(at::kBFloat16);
  for (const int bits : {8, 4}) {
    EXPECT_TRUE(quantize_blocks(weight, bits).equal(quantize_blocks(weight.to(at::kFloat), bits)));
  }
}

TEST(QuantisedBlocks, RefuseWhatTheyCantHold) {
  const double infinity = std::numeric_limits<double>::infinity();
  for (const double bad : {std::nan(""), infinity, -infinity, 65536.0, -1e30}) {
    at::Tensor weight = at::zeros({2, 40});
    weight[1][33] = bad;
    for (const int bits : {8, 4}) {
      EXPECT_THAT(refusal([&] { quantize_blocks(weight, bits); }),
                  HasSubstr("finite, with magnitudes up to"));
    }
  }
  EXPECT_THAT(refusal([] { quantize_blocks(at::zeros({2, 2}), 5); }), HasSubstr("8 or 4 bits"));
  EXPECT_THAT(refusal([] {
                dequantize_blocks(at::zeros({2, 3, 33}, at::kByte), 96, at::kFloat);
              }),
              HasSubstr("34 or 20"));
  EXPECT_THAT(refusal([] {
                dequantize_blocks(at::zeros({2, 3, 34}, at::kByte), 97, at::kFloat);
              }),
              HasSubstr("no row of 97"));
}

TEST(QuantisedBlocks, WithAScaleOrAMinimumThatIsNotFiniteAreNotSound) {
  for (const auto& [bits, byte] : {std::pair{8, 1}, {4, 1}, {4, 3}}) {
    at::Tensor blocks = quantize_blocks(at::ones({3, 70}), bits);
    blocks[2][1][byte] = 0x7c;  // an infinity's upper byte
    EXPECT_FALSE(are_sound(blocks)) << bits;
  }
}

}  // namespace
}  // namespace mformer::kernels
