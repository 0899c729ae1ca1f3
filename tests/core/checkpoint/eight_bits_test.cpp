// A domain's matrices in 8 bits: what a number is rounded to, and which blocks stand for it.

#include "core/checkpoint/eight_bits.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <limits>

#include "kernels/quantised_blocks.h"

namespace mformer {
namespace {

constexpr at::ScalarType kTypes[] = {at::kFloat, at::kBFloat16, at::kHalf};

/// Rows whose groups differ in size by many powers of two, down to where a scale is a subnormal float16; the last group
/// is not full. Row 0 is zero.
at::Tensor rows_of_all_sizes(at::ScalarType dtype) {
  at::manual_seed(7);
  const at::Tensor sizes = at::exp2(at::randint(-22, 9, {300, 1}).to(at::kFloat) + at::rand({300, 1}));
  at::Tensor rows = at::randn({300, 77}) * sizes;
  rows[0].zero_();
  return rows.to(dtype);
}

TEST(EightBits, RoundedRowsComeBackFromTheirBlocksBitForBit) {
  for (const at::ScalarType dtype : kTypes) {
    const at::Tensor rounded = rounded_to_eight_bits(rows_of_all_sizes(dtype));
    const auto blocks = exact_eight_bits(rounded);
    ASSERT_TRUE(blocks.has_value()) << dtype;
    EXPECT_TRUE(kernels::dequantize_blocks(*blocks, 77, dtype).equal(rounded)) << dtype;
    EXPECT_TRUE(rounded_to_eight_bits(rounded).equal(rounded)) << dtype;
  }
}

TEST(EightBits, WhatWasRoundedInSixteenBitsIsStillExactInThirtyTwo) {
  for (const at::ScalarType dtype : {at::kBFloat16, at::kHalf}) {
    const at::Tensor rounded = rounded_to_eight_bits(rows_of_all_sizes(dtype)).to(at::kFloat);
    const auto blocks = exact_eight_bits(rounded);
    ASSERT_TRUE(blocks.has_value()) << dtype;
    EXPECT_TRUE(kernels::dequantize_blocks(*blocks, 77, at::kFloat).equal(rounded)) << dtype;
  }
}

TEST(EightBits, AWeightIsOffByHalfOfItsGroupsScaleAtMost) {
  for (const at::ScalarType dtype : kTypes) {
    const at::Tensor rows = rows_of_all_sizes(dtype).slice(1, 0, 64);
    const at::Tensor rounded = rounded_to_eight_bits(rows);
    const auto by_group = [](const at::Tensor& x) { return x.to(at::kDouble).view({300, 2, 32}); };
    const at::Tensor off = (by_group(rounded) - by_group(rows)).abs().amax(-1);
    // A power of two may be twice as large; float16 has no scale below 2^-24, and rounds one up by 2^-11.
    const double wider = dtype == at::kFloat ? 1.001 : 2;
    const at::Tensor scale = (by_group(rows).abs().amax(-1) * (wider / 127)).clamp_min(0x1p-24);
    // Where a scale is subnormal it may be rounded more than once.
    const at::Tensor subnormal = scale.lt(0x1p-14);
    EXPECT_TRUE(off.le(scale * at::where(subnormal, 1.0, 0.5)).all().item<bool>()) << dtype;
  }
}

TEST(EightBits, WhatIsNoSuchNumberHasNoBlocksAndStaysAsItIs) {
  for (const at::ScalarType dtype : kTypes) {
    const at::Tensor rounded = rounded_to_eight_bits(rows_of_all_sizes(dtype));
    const auto changed = [&](double value) {
      at::Tensor rows = rounded.clone();
      rows[0][3] = value;
      return rows;
    };
    EXPECT_FALSE(exact_eight_bits(changed(-0.0)).has_value()) << dtype;
    EXPECT_FALSE(exact_eight_bits(rows_of_all_sizes(dtype)).has_value()) << dtype;
    for (const double value : {std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
      const at::Tensor rows = changed(value);
      EXPECT_FALSE(exact_eight_bits(rows).has_value()) << dtype;
      EXPECT_TRUE(rounded_to_eight_bits(rows).is_same(rows)) << dtype;
    }
  }
  EXPECT_FALSE(exact_eight_bits(at::zeros({4})).has_value());
  EXPECT_FALSE(exact_eight_bits(at::zeros({4, 0})).has_value());
}

TEST(EightBits, BlocksOfOtherSizesAreNotTakenForNumbers) {
  const ParameterShape shape{"h.0.mlp.0.in", {64, 40}, ParameterRole::map_in};
  at::manual_seed(7);
  const at::Tensor matrix = rounded_to_eight_bits(at::randn({40, 64})).t().contiguous();
  const at::Tensor blocks = in_eight_bits(matrix, shape);
  EXPECT_EQ(blocks.sizes(), (at::IntArrayRef{40, 2, 34}));
  EXPECT_TRUE(from_eight_bits(blocks, shape, at::kFloat).equal(matrix));
  const at::Tensor other = blocks.slice(1, 0, 1);
  EXPECT_TRUE(from_eight_bits(other, shape, at::kFloat).is_same(other));
  const ParameterShape router{"h.0.mlp.router.weight", {64, 40}, ParameterRole::router_weight};
  EXPECT_TRUE(in_eight_bits(matrix, router).is_same(matrix));
}

}  // namespace
}  // namespace mformer
