// Copies of matrices whose rows are the other's columns, bit for bit as LibTorch's.

#include "kernels/matrix_copy.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "tests/support/refusal.h"

namespace mformer::kernels {
namespace {

using mformer::testing::refusal;
using ::testing::HasSubstr;

constexpr at::ScalarType kAllTypes[] = {at::kChar,  at::kByte, at::kBFloat16, at::kHalf,
                                        at::kFloat, at::kInt,  at::kDouble};

/// Random bits: infinities and what is no number among them.
at::Tensor random_bits(at::IntArrayRef sizes, at::ScalarType type) {
  const auto bytes = static_cast<std::int64_t>(c10::elementSize(type));
  std::vector<std::int64_t> shape = sizes.vec();
  shape.back() *= bytes;
  return at::randint(0, 256, shape, at::kByte).view(type);
}

/// Whether all bytes are the same.
bool has_same_bits(const at::Tensor& a, const at::Tensor& b) {
  const auto bytes = [](const at::Tensor& x) { return x.clone(at::MemoryFormat::Contiguous).view(at::kByte); };
  return a.sizes() == b.sizes() && bytes(a).equal(bytes(b));
}

TEST(MatrixCopy, TurnsMatricesOfAnySizeAndTypeBitForBit) {
  at::manual_seed(1);
  for (const at::ScalarType type : kAllTypes) {
    for (const auto& [rows, columns] : std::vector<std::pair<int, int>>{{1, 1},
                                                                        {1, 70},
                                                                        {70, 1},
                                                                        {3, 5},
                                                                        {16, 16},
                                                                        {32, 32},
                                                                        {64, 64},
                                                                        {63, 65},
                                                                        {128, 64},
                                                                        {33, 300},
                                                                        {321, 97}}) {
      const at::Tensor stored = random_bits({rows, columns}, type);
      const at::Tensor turned = contiguous_as(stored.t(), type);
      EXPECT_TRUE(turned.is_contiguous());
      EXPECT_TRUE(has_same_bits(turned, stored.t())) << type << " " << rows << " x " << columns;
    }
  }
}

TEST(MatrixCopy, FillsTheMiddleOfAMatrixAndNothingBesideIt) {
  at::manual_seed(2);
  for (const at::ScalarType type : {at::kChar, at::kBFloat16, at::kFloat}) {
    const at::Tensor whole = random_bits({200, 150}, type), before = whole.clone(), part = random_bits({90, 110}, type);
    copy_matrix(whole.narrow(0, 30, 110).narrow(1, 40, 90), part.t());
    at::Tensor expected = before.clone();
    expected.narrow(0, 30, 110).narrow(1, 40, 90).copy_(part.t());
    EXPECT_TRUE(has_same_bits(whole, expected)) << type;
    // The same with the columns of what is filled.
    const at::Tensor turned = before.clone();
    copy_matrix(turned.narrow(0, 30, 110).narrow(1, 40, 90).t(), part);
    EXPECT_TRUE(has_same_bits(turned, expected)) << type;
  }
}

TEST(MatrixCopy, TakesWhatIsNoPairOfRowsAndColumnsAsCopyingDoes) {
  at::manual_seed(3);
  const at::Tensor cube = at::rand({4, 5, 6}), vector = at::rand({7}), matrix = at::rand({40, 50});
  EXPECT_TRUE(has_same_bits(contiguous_as(cube.permute({2, 0, 1}), at::kFloat), cube.permute({2, 0, 1})));
  EXPECT_TRUE(has_same_bits(contiguous_as(vector, at::kBFloat16), vector.to(at::kBFloat16)));
  EXPECT_TRUE(has_same_bits(contiguous_as(matrix.t(), at::kBFloat16), matrix.t().to(at::kBFloat16)));
  // Every second column, a row for all rows, and nothing at all.
  EXPECT_TRUE(has_same_bits(contiguous_as(matrix.slice(1, 0, 50, 2).t(), at::kFloat), matrix.slice(1, 0, 50, 2).t()));
  EXPECT_TRUE(has_same_bits(contiguous_as(matrix[0].expand({40, 50}).t(), at::kFloat), matrix[0].expand({40, 50}).t()));
  EXPECT_EQ(contiguous_as(at::rand({0, 5}).t(), at::kFloat).numel(), 0);
}

TEST(MatrixCopy, HasNothingToDoWhereTheTensorIsWhatIsAskedFor) {
  const at::Tensor matrix = at::rand({8, 8});
  EXPECT_TRUE(contiguous_as(matrix, at::kFloat).is_same(matrix));
}

TEST(MatrixCopy, RefusesOtherSizes) {
  EXPECT_THAT(refusal([] { copy_matrix(at::empty({2, 3}), at::empty({3, 2})); }), HasSubstr("does not fit"));
}

}  // namespace
}  // namespace mformer::kernels
