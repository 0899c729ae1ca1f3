// The innermost products of every kind of processor that this one can stand in for, against LibTorch in float64.

#include "kernels/cpu/panel_product.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/support/tolerance.h"

namespace mformer::kernels::cpu {
namespace {

using c10::BFloat16;
using mformer::testing::relative_error;

/// Rows around tiles of six and of 16, inner sums odd, even and longer than a pass, columns around a vector and a
/// panel.
struct Sizes {
  std::int64_t rows, inner, columns;
};
const Sizes kSizes[] = {{1, 1, 1},   {2, 3, 5},     {5, 16, 16},   {6, 17, 31},  {7, 64, 33},   {13, 33, 48},
                        {11, 2, 63}, {18, 130, 64}, {19, 257, 64}, {32, 31, 64}, {33, 512, 48}, {64, 600, 32}};

class PanelProduct : public ::testing::TestWithParam<const PanelKernels*> {
 protected:
  const PanelKernels& kernels() const { return *GetParam(); }

  at::Tensor float32(const at::Tensor& a, const at::Tensor& panel, std::int64_t columns) const {
    at::Tensor c = at::full({a.size(0), kPanelColumns}, 7.0F);
    kernels().float32(a.size(0), a.size(1), whole_vectors(columns), {a.data_ptr<float>(), a.size(1), 1},
                      panel.data_ptr<float>(), kPanelColumns, {c.data_ptr<float>(), kPanelColumns});
    return c.narrow(1, 0, columns);
  }
  at::Tensor bfloat16(const at::Tensor& a, const at::Tensor& panel, std::int64_t columns) const {
    at::Tensor c = at::full({a.size(0), kPanelColumns}, 7.0F);
    kernels().bfloat16(a.size(0), a.size(1), whole_vectors(columns), {a.data_ptr<BFloat16>(), a.size(1), 2},
                       panel.data_ptr<BFloat16>(), {c.data_ptr<float>(), kPanelColumns});
    return c.narrow(1, 0, columns);
  }
};

at::Tensor empty_panel(std::int64_t inner, at::ScalarType dtype) {
  // Whatever the packing leaves out is a NaN in the product.
  return at::full({inner + 1, kPanelColumns}, std::numeric_limits<float>::quiet_NaN(), dtype);
}

at::Tensor expected(const at::Tensor& a, const at::Tensor& b) {
  return a.to(at::kDouble).mm(b.to(at::kDouble));
}

TEST_P(PanelProduct, MultipliesFloat32FromPackedAndFromTransposedMatrices) {
  for (const auto [rows, inner, columns] : kSizes) {
    const at::Tensor a = at::randn({rows, inner}), b = at::randn({inner, columns}), b_t = b.t().contiguous();
    at::Tensor panel = empty_panel(inner, at::kFloat);
    kernels().pack(inner, columns, b.data_ptr<float>(), columns, panel.data_ptr<float>());
    const at::Tensor c = float32(a, panel, columns);
    EXPECT_LE(relative_error(c, expected(a, b)), testing::kFloat32) << rows << " " << inner << " " << columns;
    panel.fill_(std::numeric_limits<float>::quiet_NaN());
    kernels().pack_transposed(inner, columns, b_t.data_ptr<float>(), inner, panel.data_ptr<float>());
    EXPECT_TRUE(at::equal(c, float32(a, panel, columns))) << rows << " " << inner << " " << columns;
  }
}

TEST_P(PanelProduct, ReadsATransposedLeftFactorInPlaceAndAddsToWhatIsThere) {
  const at::Tensor a = at::randn({13, 40}), a_t = a.t().contiguous(), b = at::randn({40, 64});
  at::Tensor c = at::ones({13, 64});
  kernels().float32(13, 40, 64, {a_t.data_ptr<float>(), 1, 13}, b.data_ptr<float>(), 64,
                    {c.data_ptr<float>(), 64, true});
  EXPECT_LE(relative_error(c, expected(a, b) + 1), testing::kFloat32);
}

TEST_P(PanelProduct, MultipliesBFloat16FromFourKindsOfMatrices) {
  for (const auto [rows, inner, columns] : kSizes) {
    const at::Tensor a = at::randn({rows, inner}).to(at::kBFloat16), b = at::randn({inner, columns}).to(at::kBFloat16);
    const at::Tensor b_t = b.t().contiguous(), wide = b.to(at::kFloat), wide_t = b_t.to(at::kFloat);
    at::Tensor panel = empty_panel(inner, at::kBFloat16);
    auto* to = panel.data_ptr<BFloat16>();
    const auto check = [&](const char* how) {
      EXPECT_LE(relative_error(bfloat16(a, panel, columns), expected(a, b)), testing::kFloat32)
          << how << " " << rows << " " << inner << " " << columns;
      panel.fill_(std::numeric_limits<float>::quiet_NaN());
    };
    kernels().pack_bfloat16(inner, columns, b.data_ptr<BFloat16>(), columns, to);
    check("rows");
    kernels().pack_rounded(inner, columns, wide.data_ptr<float>(), columns, to);
    check("rounded rows");
    kernels().pack_transposed_bfloat16(inner, columns, b_t.data_ptr<BFloat16>(), inner, to);
    check("transposed");
    kernels().pack_transposed_rounded(inner, columns, wide_t.data_ptr<float>(), inner, to);
    check("rounded transposed");
  }
}

TEST_P(PanelProduct, TransposesALeftFactorOfBFloat16AndAddsToWhatIsThere) {
  for (const auto [rows, inner, columns] : kSizes) {
    const at::Tensor x = at::randn({inner, rows}), narrow = x.to(at::kBFloat16), b = at::randn({inner, columns});
    at::Tensor panel = empty_panel(inner, at::kBFloat16), c = at::ones({rows, kPanelColumns});
    kernels().pack_rounded(inner, columns, b.data_ptr<float>(), columns, panel.data_ptr<BFloat16>());
    at::Tensor room = at::full({transposed_room(inner)}, std::numeric_limits<float>::quiet_NaN(), at::kBFloat16);
    const auto check = [&](const LeftFactor<BFloat16>& left, const char* how) {
      c.fill_(1.0F);
      kernels().bfloat16(rows, inner, whole_vectors(columns), left, panel.data_ptr<BFloat16>(),
                         {c.data_ptr<float>(), kPanelColumns, true});
      EXPECT_LE(relative_error(c.narrow(1, 0, columns), expected(narrow.t(), b.to(at::kBFloat16)) + 1),
                testing::kFloat32)
          << how << " " << rows << " " << inner << " " << columns;
      room.fill_(std::numeric_limits<float>::quiet_NaN());
    };
    auto* to = room.data_ptr<BFloat16>();
    check(kernels().transposed_left(inner, rows, narrow.data_ptr<BFloat16>(), rows, to), "bfloat16");
    check(kernels().transposed_left_rounded(inner, rows, x.data_ptr<float>(), rows, to), "rounded");
  }
}

TEST_P(PanelProduct, MultipliesInt8AndWidensItExactly) {
  for (const auto [rows, inner, columns] : kSizes) {
    const at::Tensor a = at::randint(-50, 51, {rows, inner}).to(at::kFloat);
    const at::Tensor b = at::randint(-127, 128, {inner, kPanelColumns}).to(at::kChar);
    at::Tensor c = at::full({rows, kPanelColumns}, 7.0F);
    kernels().int8(rows, inner, 64, {a.data_ptr<float>(), inner, 1}, b.data_ptr<std::int8_t>(),
                   {c.data_ptr<float>(), kPanelColumns});
    EXPECT_TRUE(at::equal(c.to(at::kDouble), expected(a, b)));  // whole numbers below 2^24: exact in float32
    at::Tensor panel = empty_panel(inner, at::kFloat), pairs = empty_panel(inner, at::kBFloat16);
    kernels().widen(inner, b.data_ptr<std::int8_t>(), panel.data_ptr<float>());
    EXPECT_TRUE(at::equal(float32(a, panel, 64), c));
    kernels().widen_bfloat16(inner, b.data_ptr<std::int8_t>(), pairs.data_ptr<BFloat16>());
    EXPECT_TRUE(at::equal(bfloat16(a.to(at::kBFloat16), pairs, 64), c));
  }
}

TEST_P(PanelProduct, ARowDoesNotDependOnItsNeighbours) {
  const at::Tensor a = at::randn({17, 90}), panel = at::randn({90, 64});
  const at::Tensor all = float32(a, panel, 64);
  for (std::int64_t r = 0; r < a.size(0); ++r) {
    EXPECT_TRUE(at::equal(all[r], float32(a.narrow(0, r, 1).contiguous(), panel, 64)[0])) << r;
  }
}

TEST_P(PanelProduct, ARowOfBFloat16DoesNotDependOnItsNeighbours) {
  const at::Tensor a = at::randn({50, 1090}).to(at::kBFloat16), panel = at::randn({1090, 64}).to(at::kBFloat16);
  const at::Tensor all = bfloat16(a, panel, 64);
  for (const std::int64_t first : {0, 15, 16, 33, 49}) {
    for (const std::int64_t rows : {1, 5, 17}) {
      if (first + rows > a.size(0)) continue;
      EXPECT_TRUE(at::equal(all.narrow(0, first, rows), bfloat16(a.narrow(0, first, rows), panel, 64)))
          << first << " " << rows;
    }
  }
}

TEST_P(PanelProduct, RoundsToBFloat16AsLibTorchDoesTiesAndNotANumberIncluded) {
  at::Tensor x = at::randn({5, kPanelColumns});
  x[0][0] = std::numeric_limits<float>::quiet_NaN();
  x[0][1] = std::numeric_limits<float>::infinity();
  x[0][2] = 1.00390625F;  // half way between two bfloat16 numbers
  x[0][3] = 1.01171875F;
  at::Tensor y = at::zeros({5, 50}, at::kBFloat16);
  kernels().round(5, 50, x.data_ptr<float>(), y.data_ptr<BFloat16>(), 50);
  EXPECT_TRUE(at::allclose(y.to(at::kFloat), x.narrow(1, 0, 50).to(at::kBFloat16).to(at::kFloat), 0, 0, true));
}

INSTANTIATE_TEST_SUITE_P(Processors, PanelProduct, ::testing::ValuesIn(available_panel_kernels()),
                         [](const auto& kind) { return "Kind" + std::to_string(kind.index); });

}  // namespace
}  // namespace mformer::kernels::cpu
