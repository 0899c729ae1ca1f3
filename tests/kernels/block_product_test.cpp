// Products with weights of 8 and 4 bits: every kind of processor that this one can be, against float64.

#include "kernels/cpu/block_product.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kernels/packed_linear.h"
#include "kernels/quantised_blocks.h"
#include "tests/support/refusal.h"
#include "tests/support/threads.h"
#include "tests/support/tolerance.h"

namespace mformer::kernels {
namespace {

using cpu::kPanelColumns;
using mformer::testing::refusal;
using mformer::testing::relative_error;
using mformer::testing::ThreadCount;
using ::testing::HasSubstr;

/// Rows as a kernel quantises them, and what they then stand for.
struct Rows {
  std::vector<int8_t> codes;
  std::vector<float> scale, offset;
  std::vector<int32_t> sum;
  cpu::QuantisedRows as_factor;
  at::Tensor values;  ///< float64
};

Rows quantised(const cpu::BlockKernels& kernels, const at::Tensor& x) {
  const int64_t rows = x.size(0), inner = x.size(1), groups = groups_of(inner);
  Rows made;
  made.codes.resize(rows * groups * kGroupSize);
  made.scale.resize(rows * groups), made.offset.resize(rows * groups), made.sum.resize(rows * groups);
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t at = r * groups;
    kernels.quantise(
        inner, x.const_data_ptr<float>() + r * inner,
        {made.codes.data() + at * kGroupSize, made.scale.data() + at, made.offset.data() + at, made.sum.data() + at});
  }
  made.as_factor = {made.codes.data(), made.scale.data(), made.offset.data(), made.sum.data(), groups};
  const at::Tensor codes = at::tensor(at::ArrayRef<int8_t>(made.codes)).view({rows, groups, kGroupSize});
  const at::Tensor scale = at::tensor(at::ArrayRef<float>(made.scale)).view({rows, groups, 1});
  made.values = (codes.to(at::kDouble) * scale.to(at::kDouble)).view({rows, -1}).narrow(1, 0, inner);
  return made;
}

/// c [rows, 64] += rows · w, of one panel.
at::Tensor product(const cpu::BlockKernels& kernels, const Rows& rows, const PackedWeight& w,
                   const at::Tensor& before) {
  at::Tensor c = before.clone();
  (w.bits == 8 ? kernels.product8 : kernels.product4)(c.size(0), rows.as_factor, w.panels.const_data_ptr<uint8_t>(),
                                                      {c.mutable_data_ptr<float>(), kPanelColumns, true});
  return c;
}

TEST(BlockProduct, OfEveryKindOfProcessorIsThatOfTheNumbersThatCodesStandFor) {
  at::manual_seed(5);
  for (const cpu::BlockKernels* kernels : cpu::available_block_kernels()) {
    for (const int bits : {8, 4}) {
      for (const int64_t inner : {1, 31, 32, 70, 576}) {
        const at::Tensor blocks = quantize_blocks(at::randn({64, inner}), bits);
        const at::Tensor weight = dequantize_blocks(blocks, inner, at::kDouble);
        const PackedWeight packed = pack_blocks(blocks, inner);
        for (const int64_t count : {1, 2, 3, 4, 5, 9}) {
          const Rows rows = quantised(*kernels, at::randn({count, inner}));
          const at::Tensor before = at::randn({count, 64});
          const at::Tensor exact = before.to(at::kDouble) + rows.values.matmul(weight.t());
          EXPECT_LE(relative_error(product(*kernels, rows, packed, before), exact), testing::kFloat32)
              << kernels->name << " " << bits << " " << inner << " " << count;
        }
      }
    }
  }
}

TEST(BlockProduct, TakesTheLargestCodesOfBothWithoutOverflow) {
  for (const cpu::BlockKernels* kernels : cpu::available_block_kernels()) {
    for (const int bits : {8, 4}) {
      for (const double sign : {1.0, -1.0}) {
        at::Tensor weight = at::full({64, 64}, 127.0 * sign);
        weight.select(1, 0).fill_(0);  // four bits: the rest has the code 15, or 0
        const at::Tensor blocks = quantize_blocks(weight, bits);
        const PackedWeight packed = pack_blocks(blocks, 64);
        const Rows rows = quantised(*kernels, at::full({3, 64}, -1.0));
        const at::Tensor exact = rows.values.matmul(dequantize_blocks(blocks, 64, at::kDouble).t());
        EXPECT_LE(relative_error(product(*kernels, rows, packed, at::zeros({3, 64})), exact), testing::kFloat32)
            << kernels->name << " " << bits;
      }
    }
  }
}

TEST(BlockProduct, CountsMinus128AsMinus127WhateverTheProcessor) {
  at::Tensor blocks = quantize_blocks(at::full({64, 32}, -127.0), 8);
  const PackedWeight whole = pack_blocks(blocks, 32);
  blocks.narrow(2, 2, 32).fill_(0x80);
  EXPECT_TRUE(pack_blocks(blocks, 32).panels.equal(whole.panels));
}

TEST(BlockProduct, HasTheSameCodesAndNearlyTheSameSumsOnEveryKindOfProcessor) {
  at::manual_seed(6);
  const at::Tensor x = at::randn({5, 96});
  const auto all = cpu::available_block_kernels();
  const Rows first = quantised(*all.front(), x);
  for (const cpu::BlockKernels* kernels : all) {
    const Rows rows = quantised(*kernels, x);
    EXPECT_EQ(rows.codes, first.codes) << kernels->name;
    for (const int bits : {8, 4}) {
      const PackedWeight w = pack_blocks(quantize_blocks(at::randn({64, 96}), bits), 96);
      const at::Tensor one = product(*all.front(), first, w, at::zeros({5, 64}));
      EXPECT_LE(relative_error(product(*kernels, rows, w, at::zeros({5, 64})), one), testing::kFloat32);
    }
  }
}

TEST(BlockProduct, QuantisesARowWithinHalfAStepAndLosesNoNaN) {
  at::manual_seed(8);
  for (const cpu::BlockKernels* kernels : cpu::available_block_kernels()) {
    const at::Tensor x =
        at::cat({at::randn({4, 70}), at::zeros({1, 70}), at::randn({1, 70}) * 1e30, at::randn({1, 70}) * 1e-30});
    const at::Tensor error = (quantised(*kernels, x).values - x.to(at::kDouble)).abs();
    for (const auto& [from, count] : {std::pair<int64_t, int64_t>{0, 32}, {32, 32}, {64, 6}}) {
      const at::Tensor most = x.narrow(1, from, count).abs().amax(1, true).to(at::kDouble);
      EXPECT_TRUE((error.narrow(1, from, count) <= most / 254 * (1 + 1e-6)).all().item<bool>()) << kernels->name;
    }
    for (const double bad : {std::nan(""), std::numeric_limits<double>::infinity()}) {
      at::Tensor broken = at::ones({1, 64});
      broken[0][40] = bad;
      const Rows rows = quantised(*kernels, broken);
      EXPECT_FALSE(std::isnan(rows.scale[0]));
      EXPECT_TRUE(std::isnan(rows.scale[1]) && std::isnan(rows.offset[1])) << kernels->name;
    }
  }
}

TEST(BlockProduct, WidensAPanelToTheNearestBfloat16) {
  at::manual_seed(9);
  for (const cpu::BlockKernels* kernels : cpu::available_block_kernels()) {
    for (const int bits : {8, 4}) {
      const at::Tensor blocks = quantize_blocks(at::randn({64, 96}), bits);
      const PackedWeight packed = pack_blocks(blocks, 96);
      at::Tensor panel = at::empty({48, 64, 2}, at::kBFloat16);
      (bits == 8 ? kernels->widen8 : kernels->widen4)(3, packed.panels.const_data_ptr<uint8_t>(),
                                                      panel.mutable_data_ptr<c10::BFloat16>());
      const at::Tensor values = dequantize_blocks(blocks, 96, at::kFloat);
      const at::Tensor widened = panel.permute({1, 0, 2}).reshape({64, 96}).to(at::kFloat);
      EXPECT_LE(((widened - values).abs() / values.abs().clamp_min(1e-3)).max().item<double>(), 1.0 / 256)
          << kernels->name;
    }
  }
}

/// [rows, in] bfloat16 through packed weights, in float32.
at::Tensor through(const at::Tensor& x, const PackedWeight& w) {
  return packed_linear(x, w, {}, /*float32=*/true);
}

TEST(BlockProduct, IsWithinTheRoundingOfTheRowsForFewRowsAndMany) {
  const at::NoGradGuard no_grad;
  at::manual_seed(10);
  for (const int bits : {8, 4}) {
    for (const auto& [in, out] : {std::pair<int64_t, int64_t>{64, 64}, {96, 70}, {33, 1}, {1056, 130}}) {
      const at::Tensor blocks = quantize_blocks(at::randn({out, in}), bits);
      const at::Tensor weight = dequantize_blocks(blocks, in, at::kDouble);
      for (const int64_t rows : {1, 2, 15, 16, 17, 31, 33, 63, 530}) {
        for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
          const at::Tensor x = at::randn({rows, in}).to(type);
          const at::Tensor exact = x.to(at::kDouble).matmul(weight.t());
          // Rows in int8 are off by up to 1/254 of their groups' largest, bfloat16 weights by 1/512: about the same. Of
          // the terms: a sum of few of them may be next to nothing.
          const double terms = x.to(at::kDouble).abs().matmul(weight.abs().t()).norm().item<double>();
          const double error = (through(x, pack_blocks(blocks, in)) - exact).norm().item<double>();
          EXPECT_LE(error, 0.004 * terms) << rows << " " << in << " " << out;
        }
      }
    }
  }
}

TEST(BlockProduct, AddsUpTermsAndTakesModulesOfItsOwnRows) {
  const at::NoGradGuard no_grad;
  at::manual_seed(11);
  for (const int64_t rows : {1, 40}) {
    const at::Tensor x = at::randn({3 * rows, 64}).to(at::kBFloat16);
    std::vector<PackedWeight> packed;
    at::Tensor sum = at::zeros({rows, 70}, at::kDouble);
    for (int64_t m = 0; m < 3; ++m) {
      const at::Tensor blocks = quantize_blocks(at::randn({70, 64}), m == 1 ? 4 : 8);
      packed.push_back(pack_blocks(blocks, 64));
      sum += x.narrow(0, m * rows, rows).to(at::kDouble).matmul(dequantize_blocks(blocks, 64, at::kDouble).t());
    }
    const std::vector<int64_t> offset{0, rows, 2 * rows, 3 * rows};
    EXPECT_LE(relative_error(packed_grouped_linear_sum(x, offset, packed, true), sum), 0.01);
    const at::Tensor apart = packed_grouped_linear(x, offset, packed).view({3, rows, 70}).sum(0);
    EXPECT_LE(relative_error(apart, sum), 0.02);
  }
}

TEST(BlockProduct, HasTheSameBitsWithEveryNumberOfThreads) {
  const at::NoGradGuard no_grad;
  at::manual_seed(12);
  for (const int bits : {8, 4}) {
    const PackedWeight w = pack_blocks(quantize_blocks(at::randn({1000, 576}), bits), 576);
    for (const int64_t rows : {1, 5, 70}) {
      const at::Tensor x = at::randn({rows, 576}).to(at::kBFloat16);
      at::Tensor one;
      for (const int threads : {1, 2, 3}) {
        const ThreadCount count(threads);
        const at::Tensor y = through(x, w);
        if (!one.defined()) one = y;
        EXPECT_TRUE(y.equal(one)) << threads;
      }
    }
  }
}

TEST(BlockProduct, OfARowDoesNotDependOnHowManyOthersThereAre) {
  const at::NoGradGuard no_grad;
  at::manual_seed(13);
  const PackedWeight w = pack_blocks(quantize_blocks(at::randn({70, 96}), 8), 96);
  const at::Tensor x = at::randn({600, 96}).to(at::kBFloat16), few = through(x.narrow(0, 0, 15).contiguous(), w);
  for (int64_t r = 0; r < 15; ++r) {
    EXPECT_TRUE(through(x.narrow(0, r, 1).contiguous(), w)[0].equal(few[r])) << r;
  }
  const at::Tensor many = through(x, w);
  for (const int64_t count : {16, 17, 40, 100}) {
    EXPECT_TRUE(through(x.narrow(0, 0, count).contiguous(), w).equal(many.narrow(0, 0, count))) << count;
  }
}

TEST(BlockProduct, RefusesBlocksOfAnotherMatrix) {
  EXPECT_THAT(refusal([] { pack_blocks(at::zeros({2, 3, 34}, at::kByte), 64); }), HasSubstr("no row of 64"));
  EXPECT_THAT(refusal([] { pack_blocks(at::zeros({2, 64}), 64); }), HasSubstr("34 or 20"));
}

}  // namespace
}  // namespace mformer::kernels
