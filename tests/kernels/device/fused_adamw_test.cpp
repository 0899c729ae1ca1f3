// The GPU's AdamW, in loops on the host and on a GPU, against the CPU's.

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "kernels/device/fused.h"
#include "tests/kernels/device/gpu.h"
#include "tests/support/tolerance.h"

namespace mformer::kernels::device {
namespace {

constexpr std::int64_t kPiece = 4096;  // of the implementation

class FusedAdamW : public mformer::testing::OnHostAndGpu {
 protected:
  /// Of sizes around the edges of pieces, more than one launch takes; some without decay, some without a gradient.
  static std::vector<AdamWTensor> tensors_of(at::ScalarType dtype) {
    at::manual_seed(11);
    std::vector<AdamWTensor> tensors;
    for (const std::int64_t size : {kPiece - 1, kPiece, kPiece + 1, 3 * kPiece + 5, std::int64_t{0}}) {
      tensors.push_back(random(size, dtype));
    }
    for (std::int64_t size = 1; size <= 130; ++size) tensors.push_back(random(size, dtype));
    for (std::size_t i = 0; i < tensors.size(); i += 3) tensors[i].decay = false;
    for (std::size_t i = 1; i < tensors.size(); i += 4) tensors[i].gradient.reset();
    return tensors;
  }

  static AdamWTensor random(std::int64_t size, at::ScalarType dtype) {
    return {at::randn({size}).to(dtype), at::randn({size}).to(dtype), at::randn({size}), at::rand({size})};
  }

  std::vector<AdamWTensor> copies(const std::vector<AdamWTensor>& tensors) const {
    const auto copy = [&](const at::Tensor& x) {
      return x.defined() ? x.to(device(), x.scalar_type(), false, true) : x;
    };
    std::vector<AdamWTensor> result;
    for (const AdamWTensor& x : tensors) {
      result.push_back({copy(x.weight), copy(x.gradient), copy(x.exp_avg), copy(x.exp_avg_sq), x.decay});
    }
    return result;
  }
};

TEST_P(FusedAdamW, TakesTheStepThatTheCpuTakes) {
  const AdamWStep step{3, 0.01, 0.8, 0.9, 1e-6, 0.3, 0.25};
  std::vector<AdamWTensor> right = tensors_of(at::kFloat), halves = tensors_of(at::kBFloat16);
  right.insert(right.begin() + 50, halves.begin(), halves.end());  // of both dtypes in one list
  const std::vector<AdamWTensor> ours = copies(right);
  const auto version = ours[0].weight._version();
  fused::adamw_step(ours, step);
  adamw_step(right, step);
  EXPECT_GT(ours[0].weight._version(), version);
  for (std::size_t i = 0; i < right.size(); ++i) {
    const bool half = right[i].weight.scalar_type() == at::kBFloat16;
    using testing::relative_error;
    EXPECT_LE(relative_error(ours[i].exp_avg.cpu(), right[i].exp_avg), testing::kFloat32) << i;
    EXPECT_LE(relative_error(ours[i].exp_avg_sq.cpu(), right[i].exp_avg_sq), testing::kFloat32) << i;
    EXPECT_LE(relative_error(ours[i].weight.cpu(), right[i].weight), half ? 4e-3 : testing::kFloat32)
        << i << ": the last bit of one number";
    if (!right[i].gradient.defined()) continue;
    EXPECT_TRUE(ours[i].gradient.cpu().equal(right[i].gradient)) << i;
  }
}

TEST_P(FusedAdamW, TakesFloat32AndBFloat16Alone) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16, at::kHalf, at::kDouble}) {
    AdamWTensor tensor;
    tensor.weight = at::zeros({2}, dtype);
    EXPECT_EQ(fused::takes_adamw(tensor), dtype == at::kFloat || dtype == at::kBFloat16);
  }
  fused::adamw_step({}, {});
}

MFORMER_ON_HOST_AND_GPU(FusedAdamW);

}  // namespace
}  // namespace mformer::kernels::device
