// Products of modules on a device: weights side by side, kept, or copied.

#include "kernels/device/grouped_linear.h"
#include "kernels/grouped_linear.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "kernels/stacked_weights.h"
#include "tests/kernels/device/both_devices.h"

namespace mformer::kernels {
namespace {

using namespace mformer::testing;

/// Sizes that at::_grouped_mm takes; some modules without rows.
constexpr std::int64_t kIn = 16, kOut = 24;
const std::vector<std::int64_t> kOffset = {0, 4, 10, 10, 11, 30};

Tensors inputs(std::size_t first_trained, at::ScalarType weight) {
  at::manual_seed(5);
  Tensors in = {random_leaf({kOffset.back(), kIn}, at::kBFloat16)};
  for (std::size_t m = 0; m + 1 < kOffset.size(); ++m) {
    in.push_back(random_leaf({kIn, kOut}, weight).set_requires_grad(m >= first_trained));
  }
  return in;
}

TEST(GroupedLinearOnADevice, EqualsTheCpusWhateverIsFrozenAndKept) {
  for (const std::size_t first_trained : {0, 1, 3, 5}) {
    for (const at::ScalarType weight : {at::kBFloat16, at::kFloat}) {
      for (const bool keep : {false, true}) {
        const auto kept = keep ? c10::make_intrusive<FrozenPanels>() : nullptr;
        expect_same_on_both(inputs(first_trained, weight), 2 * kTwoBFloat16Roundings, [&](const Tensors& x) {
          const Tensors weights(x.begin() + 1, x.end());
          return Tensors{grouped_linear(x[0], kOffset, weights, kept), grouped_linear(x[0], kOffset, weights, kept)};
        });
      }
    }
  }
}

TEST(GroupedLinearOnADevice, TakesOneModuleOfManyAndSizesThatAreNoMultiples) {
  at::manual_seed(6);
  for (const std::int64_t in : {16, 9}) {
    Tensors all = {random_leaf({3, in}, at::kBFloat16)};
    for (int m = 0; m < 6; ++m) all.push_back(random_leaf({in, 8}, at::kBFloat16).set_requires_grad(false));
    expect_same_on_both(all, 2 * kTwoBFloat16Roundings, [](const Tensors& x) {
      return Tensors{grouped_linear(x[0], {0, 0, 0, 3, 3, 3, 3}, {x.begin() + 1, x.end()})};
    });
  }
}

TEST(FrozenPanelsOnADevice, HoldOneCopyOfWeightsThatLieApartAndNoneOfThoseSideBySide) {
  const Tensors in = leaves_on(make_believe_device(), inputs(5, at::kBFloat16));
  const Tensors apart(in.begin() + 1, in.end());
  const auto kept = c10::make_intrusive<FrozenPanels>();
  grouped_linear(in[0], kOffset, apart, kept);
  EXPECT_EQ(kept->bytes(), 5 * kIn * kOut * 2);
  grouped_linear(in[0], kOffset, apart, kept).sum().backward();
  EXPECT_EQ(kept->bytes(), 5 * kIn * kOut * 2);

  const auto none = c10::make_intrusive<FrozenPanels>();
  const auto near = side_by_side(apart, at::kBFloat16, make_believe_device());
  const std::int64_t before = make_believe_bytes();
  const at::Tensor y = grouped_linear(in[0].detach(), kOffset, near, none);
  EXPECT_EQ(make_believe_bytes() - before, static_cast<std::int64_t>(y.nbytes()));
  EXPECT_EQ(none->bytes(), 0);
  EXPECT_TRUE(y.cpu().equal(grouped_linear(in[0], kOffset, apart, kept).cpu()));
}

TEST(FrozenPanelsOnADevice, CopyAWeightAgainThatWasChangedInPlace) {
  const Tensors in = leaves_on(make_believe_device(), inputs(5, at::kBFloat16));
  const Tensors weights(in.begin() + 1, in.end());
  const auto kept = c10::make_intrusive<FrozenPanels>();
  grouped_linear(in[0], kOffset, weights, kept);
  weights[4].mul_(2);
  EXPECT_TRUE(grouped_linear(in[0], kOffset, weights, kept).cpu().equal(grouped_linear(in[0], kOffset, weights).cpu()));
}

TEST(GroupedProduct, FitsWholeSixteenBytesOfBFloat16Alone) {
  const auto fits = [](at::ScalarType dtype, std::int64_t in, std::int64_t out) {
    return device::fits_grouped_product(at::zeros({2, in}, dtype), at::zeros({in, out}, dtype));
  };
  EXPECT_TRUE(fits(at::kBFloat16, 8, 16));
  EXPECT_FALSE(fits(at::kBFloat16, 8, 12));
  EXPECT_FALSE(fits(at::kBFloat16, 12, 8));
  EXPECT_FALSE(fits(at::kFloat, 8, 16));
  const at::Tensor room = at::zeros({40}, at::kBFloat16), weight = at::zeros({8, 8}, at::kBFloat16);
  EXPECT_TRUE(device::fits_grouped_product(room.narrow(0, 8, 32).view({4, 8}), weight));
  EXPECT_FALSE(device::fits_grouped_product(room.narrow(0, 4, 32).view({4, 8}), weight));
}

TEST(StackedWeights, AreOneOnlyWhereTheyLieSideBySideInOrder) {
  const Tensors apart = {at::ones({2, 3}), at::ones({2, 3})};
  EXPECT_FALSE(as_one(apart).defined());
  Tensors near = side_by_side({at::full({2, 3}, 1), at::full({2, 3}, 2)}, at::kFloat, at::kCPU);
  EXPECT_TRUE(as_one(near).equal(at::stack(near)));
  EXPECT_EQ(as_one(near).data_ptr(), near[0].data_ptr());
  EXPECT_TRUE(as_one({near[1]}).equal(near[1].unsqueeze(0)));
  EXPECT_FALSE(as_one({near[1], near[0]}).defined());
  EXPECT_FALSE(as_one({near[0].t(), near[1].t()}).defined());
  EXPECT_FALSE(as_one({}).defined());
}

}  // namespace
}  // namespace mformer::kernels
