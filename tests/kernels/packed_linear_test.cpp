// Packed weights against the products of unpacked ones; int8 against what its codes stand for.

#include "kernels/packed_linear.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/grouped_linear.h"
#include "tests/support/refusal.h"
#include "tests/support/threads.h"
#include "tests/support/tolerance.h"

namespace mformer::kernels {
namespace {

using mformer::testing::refusal;
using mformer::testing::relative_error;
using mformer::testing::ThreadCount;
using ::testing::HasSubstr;

at::Tensor random(at::IntArrayRef sizes, at::ScalarType dtype = at::kFloat) {
  return at::randn(sizes).to(dtype);
}

class PackedLinearTest : public ::testing::TestWithParam<at::ScalarType> {
 protected:
  PackedLinearTest() { at::manual_seed(3); }
  at::NoGradGuard no_grad_;
};

TEST_P(PackedLinearTest, GivesTheBitsOfTheUnpackedProductAtEveryEdgeOfATileAndPanel) {
  for (const std::int64_t rows : {1, 2, 5, 6, 7, 13, 70}) {
    for (const std::int64_t in : {1, 2, 7, 64, 65, 1030}) {
      for (const std::int64_t out : {1, 15, 16, 17, 63, 64, 65, 70, 129}) {
        const at::Tensor x = random({rows, in}, GetParam()), w = random({in, out}, GetParam());
        const at::Tensor y = packed_linear(x, pack_weight(w, GetParam()));
        EXPECT_TRUE(y.equal(grouped_linear(x, {0, rows}, {w}))) << rows << " " << in << " " << out;
        EXPECT_TRUE(y.equal(packed_linear(x, pack_transposed(w.t().contiguous(), GetParam()))));
      }
    }
  }
}

TEST_P(PackedLinearTest, GivesTheBitsOfTheUnpackedProductForUnevenAndEmptyModules) {
  const at::Tensor x = random({23, 40}, GetParam());
  std::vector<at::Tensor> weights;
  std::vector<PackedWeight> packed;
  for (int m = 0; m < 5; ++m) {
    weights.push_back(random({40, 70}, GetParam()));
    packed.push_back(pack_weight(weights.back(), GetParam()));
  }
  for (const std::vector<std::int64_t>& offset :
       {std::vector<std::int64_t>{0, 0, 10, 11, 11, 23}, {0, 0, 0, 23, 23, 23}, {0, 5, 9, 14, 20, 23}}) {
    EXPECT_TRUE(packed_grouped_linear(x, offset, packed).equal(grouped_linear(x, offset, weights)));
  }
  EXPECT_EQ(packed_grouped_linear(x.narrow(0, 0, 0), {0, 0, 0, 0, 0, 0}, packed).sizes(), at::IntArrayRef({0, 70}));
}

TEST_P(PackedLinearTest, AddsTheBiasAndReturnsTheSumsAsTheyAreIfAsked) {
  const at::Tensor x = random({2, 3, 40}, GetParam()), w = random({40, 33}, GetParam()), bias = random({33});
  const at::Tensor y = packed_linear(x, pack_weight(w, GetParam()), bias, /*float32=*/true);
  EXPECT_EQ(y.scalar_type(), at::kFloat);
  const at::Tensor exact = x.to(at::kDouble).matmul(w.to(at::kDouble)) + bias;
  EXPECT_LE(relative_error(y, exact), testing::kFloat32);
}

TEST_P(PackedLinearTest, MultipliesByWhatInt8CodesStandForInFewRowsAndMany) {
  for (const std::int64_t rows : {1, 3, 6, 7, 40}) {
    for (const auto& [in, out] : {std::pair<std::int64_t, std::int64_t>{64, 64}, {7, 70}, {130, 1}}) {
      const at::Tensor x = random({rows, in}, GetParam());
      const auto [codes, scale] = quantize_int8(random({in, out}));
      const at::Tensor y = packed_linear(x, pack_int8(codes, scale), {}, /*float32=*/true);
      // Codes are whole numbers below 128, exact in bfloat16 too: only the order of sums differs.
      const at::Tensor exact = x.to(at::kDouble).matmul(codes.to(at::kDouble) * scale.to(at::kDouble));
      EXPECT_LE(relative_error(y, exact), testing::kFloat32) << rows << " " << in << " " << out;
    }
  }
}

TEST_P(PackedLinearTest, GivesARowTheSameBitsAloneAndOnAnyNumberOfThreads) {
  const at::Tensor x = random({40, 300}, GetParam()), w = random({300, 200}, GetParam());
  const PackedWeight packed = pack_weight(w, GetParam());
  const at::Tensor together = packed_linear(x, packed);
  for (const int threads : {1, 2, 3}) {
    const ThreadCount count(threads);
    EXPECT_TRUE(packed_linear(x, packed).equal(together));
    EXPECT_TRUE(packed_linear(x.narrow(0, 17, 1), packed).equal(together.narrow(0, 17, 1)));
  }
}

INSTANTIATE_TEST_SUITE_P(DTypes, PackedLinearTest, ::testing::Values(at::kFloat, at::kBFloat16),
                         [](const auto& instance) { return c10::toString(instance.param); });

TEST(QuantizeInt8, IsOffByHalfAScaleAtMostAndTakesTheWholeRange) {
  at::manual_seed(4);
  const at::Tensor w = at::randn({200, 30}) * at::logspace(-6, 6, 30);
  const auto [codes, scale] = quantize_int8(w);
  ASSERT_EQ(codes.scalar_type(), at::kChar);
  ASSERT_EQ(scale.scalar_type(), at::kFloat);
  // Half a scale and the rounding of w / scale in float32.
  EXPECT_TRUE(((codes.to(at::kFloat) * scale - w).abs() <= 0.50001 * scale).all().item<bool>());
  EXPECT_TRUE(codes.abs().amax(0).eq(127).all().item<bool>());
}

TEST(QuantizeInt8, GivesAColumnOfZerosTheScaleOne) {
  at::Tensor w = at::ones({4, 3});
  w.select(1, 1).zero_();
  const auto [codes, scale] = quantize_int8(w);
  EXPECT_EQ(scale[1].item<float>(), 1.0F);
  EXPECT_FALSE(codes.select(1, 1).any().item<bool>());
}

TEST(PackedLinear, RefusesArgumentsThatDoNotFitByName) {
  const at::Tensor w = at::randn({4, 3}), x = at::randn({2, 4});
  const PackedWeight packed = pack_weight(w, at::kFloat);
  EXPECT_THAT(refusal([&] { packed_linear(at::randn({2, 5}), packed); }), HasSubstr("x must be contiguous"));
  EXPECT_THAT(refusal([&] { packed_linear(at::randn({4, 2}).t(), packed); }), HasSubstr("x must be contiguous"));
  EXPECT_THAT(refusal([&] { packed_linear(x.to(at::kBFloat16), packed); }), HasSubstr("x must have the dtype"));
  EXPECT_THAT(refusal([&] { packed_linear(x, packed, at::randn({4})); }), HasSubstr("bias must be"));
  EXPECT_THAT(refusal([&] { packed_linear(x, PackedWeight{}); }), HasSubstr("w must be packed"));
  EXPECT_THAT(refusal([&] {
                packed_linear(at::randn({2, 4}).set_requires_grad(true), packed);
              }),
              HasSubstr("no gradient"));
  EXPECT_THAT(refusal([&] { packed_grouped_linear(x, {0, 1}, {packed}); }), HasSubstr("offset must run"));
  EXPECT_THAT(refusal([&] { packed_grouped_linear(x, {0, 2}, {packed, packed}); }), HasSubstr("offset must have"));
  EXPECT_THAT(refusal([&] { packed_grouped_linear(x, {0, 3, 2}, {packed, packed}); }), HasSubstr("not decrease"));
  EXPECT_THAT(refusal([&] {
                packed_grouped_linear(x, {0, 1, 2}, {packed, pack_weight(at::randn({4, 5}), at::kFloat)});
              }),
              HasSubstr("weights[1]"));
  EXPECT_THAT(refusal([&] { pack_weight(w, at::kDouble); }), HasSubstr("dtype must be"));
  EXPECT_THAT(refusal([&] { pack_weight(w.to(at::kLong), at::kFloat); }), HasSubstr("floating dtype"));
  EXPECT_THAT(refusal([&] { pack_int8(w, at::ones({3})); }), HasSubstr("codes must be int8"));
  EXPECT_THAT(refusal([&] { pack_int8(w.to(at::kChar), at::ones({4})); }), HasSubstr("scale must be"));
  EXPECT_THAT(refusal([&] {
                quantize_int8(at::full({2, 2}, std::numeric_limits<float>::infinity()));
              }),
              HasSubstr("finite"));
}

}  // namespace
}  // namespace mformer::kernels
