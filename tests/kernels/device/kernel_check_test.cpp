// The check that replaces a kernel which disagrees; here it runs the kernels in loops on the host.

#include "kernels/device/kernel_check.h"

#include <ATen/core/Tensor.h>
#include <gtest/gtest.h>

#include <set>

#include "kernels/device/kernel_switch.h"
#include "kernels/self_check.h"
#include "tests/kernels/device/gpu.h"

namespace mformer::kernels::device {
namespace {

/// Leaves every kernel right and on.
class KernelChecks : public testing::OnHostAndGpu {
 protected:
  ~KernelChecks() override {
    for (const Kernel kernel : all_kernels()) {
      distort(kernel, false);
      switch_on(kernel);
    }
  }
};

TEST_P(KernelChecks, FindEveryKernelRight) {
  std::set<Kernel> seen;
  for (const KernelCheck& check : check_kernels(device(), Extent::small)) {
    EXPECT_TRUE(check.passed()) << name(check.kernel) << ", " << check.input << ": " << check.error << check.refusal;
    seen.insert(check.kernel);
  }
  EXPECT_EQ(seen.size(), all_kernels().size());
}

TEST_P(KernelChecks, ReplaceTheKernelThatDisagreesAndNoOther) {
  for (const Kernel wrong : all_kernels()) {
    distort(wrong, true);
    switch_off_wrong(check_kernels(device(), Extent::small));
    distort(wrong, false);
    for (const Kernel kernel : all_kernels()) EXPECT_EQ(why_off(kernel).has_value(), kernel == wrong) << name(kernel);
    EXPECT_FALSE(testing::has_gpu() && uses_kernel(wrong, at::Device(at::kCUDA, 0)));
    switch_on(wrong);
  }
}

TEST_P(KernelChecks, SayWhyAKernelDidNotRun) {
  KernelCheck check{Kernel::router, "some tokens"};
  check.error = 0;
  check.refusal = "no kernel image is available";
  switch_off_wrong({check});
  EXPECT_EQ(why_off(Kernel::router), "no kernel image is available");
}

TEST(KernelChecksOfADevice, CountThoseThatAreWrongOrDidNotRun) {
  DeviceSelfCheck right, wrong, refused;
  right.passed = true;
  refused.refusal = "no kernel image is available";
  EXPECT_EQ(count_failed({right, wrong, refused, right}), 2U);
  EXPECT_EQ(count_failed({}), 0U);
}

TEST(KernelChecksOfOtherDevices, AreNone) {
  EXPECT_TRUE(self_check(at::Device(at::kCPU)).empty());
  EXPECT_FALSE(uses_kernel(Kernel::router, at::Device(at::kCPU)));
}

TEST(KernelChecksOfAGpu, AreRunInFullAndPass) {
  if (!testing::has_gpu()) GTEST_SKIP() << "no GPU answers";
  const auto checks = self_check(at::Device(at::kCUDA, 0));
  EXPECT_FALSE(checks.empty());
  for (const DeviceSelfCheck& check : checks) EXPECT_TRUE(check.passed) << check.kernel << ", " << check.input;
}

MFORMER_ON_HOST_AND_GPU(KernelChecks);

}  // namespace
}  // namespace mformer::kernels::device
