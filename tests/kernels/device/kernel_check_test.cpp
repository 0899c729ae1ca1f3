// The check that replaces a kernel which disagrees; here it runs the kernels in loops on the host.

#include "kernels/device/kernel_check.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <set>

#include "kernels/device/checker.h"
#include "kernels/device/kernel_switch.h"
#include "kernels/device/processor.h"
#include "kernels/self_check.h"
#include "tests/kernels/device/gpu.h"

namespace mformer::kernels::device {
namespace {

/// Leaves every kernel right and on.
class KernelChecks : public testing::OnHostAndGpu {
 protected:
  ~KernelChecks() override {
    for (const Kernel kernel : all_kernels()) switch_on(kernel);
  }
};

TEST_P(KernelChecks, FindEveryKernelRight) {
  std::set<Kernel> seen;
  for (const KernelCheck& check : check_kernels(device(), Extent::small)) {
    EXPECT_TRUE(check.passed()) << name(check.kernel) << ", " << check.input << ": " << check.error << check.refusal;
    seen.insert(check.kernel);
  }
  EXPECT_EQ(seen.size(), all_kernels().size() - (multiplies_groups(device()) ? 0 : 1));
}

TEST_P(KernelChecks, ReplaceTheKernelThatDisagreesAndNoOther) {
  for (const Kernel wrong : all_kernels()) {
    std::vector<KernelCheck> checks = check_kernels(device(), Extent::small);
    for (KernelCheck& check : checks) check.error = check.kernel == wrong ? 1 : check.error;
    switch_off_wrong(checks);
    for (const Kernel kernel : all_kernels()) EXPECT_EQ(why_off(kernel).has_value(), kernel == wrong) << name(kernel);
    EXPECT_FALSE(testing::has_gpu() && uses_kernel(wrong, at::Device(at::kCUDA, 0)));
    switch_on(wrong);
  }
}

TEST_P(KernelChecks, FindANumberThatIsWrongOrNone) {
  const at::Tensor right = at::linspace(-1, 1, 100), wrong = right.clone(), none = right.clone();
  wrong[7] += 1e-3;
  none[7] = NAN;
  Checker checker(device(), Extent::small);
  for (const at::Tensor& found : {right, wrong, none}) {
    const auto compute = [&] { return Results{right, found}; };
    checker.check(Kernel::combine, "numbers", kFloat32, {right, right}, compute, compute);
  }
  const std::vector<KernelCheck> checks = checker.take();
  EXPECT_TRUE(checks[0].passed());
  EXPECT_FALSE(checks[1].passed());
  EXPECT_FALSE(checks[2].passed());
}

TEST_P(KernelChecks, SayWhyAKernelDidNotRun) {
  KernelCheck check{Kernel::router, "some tokens"};
  check.error = 0;
  check.refusal = "no kernel image is available";
  switch_off_wrong({check});
  EXPECT_EQ(why_off(Kernel::router), "no kernel image is available");
}

TEST(GroupedProducts, AreForProcessorsThatHaveThem) {
  for (const int capability : {90, 100, 103}) EXPECT_TRUE(multiplies_groups(capability)) << capability;
  for (const int capability : {0, 75, 80, 86, 89, 110, 120, 121}) EXPECT_FALSE(multiplies_groups(capability));
  EXPECT_EQ(compute_capability(at::Device(at::kCPU)), 0);
  if (testing::has_gpu()) {
    EXPECT_GE(compute_capability(at::Device(at::kCUDA, 0)), 50);
  } else {
    EXPECT_EQ(compute_capability(at::Device(at::kCUDA, 0)), 0);  // no driver: no answer, and no crash
  }
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
