#include "core/device/device.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "modules_registry/error.h"

namespace mformer {
namespace {

TEST(Device, OpensTheCpuWithoutAnything) {
  EXPECT_TRUE(open_device("cpu").is_cpu());
}

TEST(Device, RefusesNamesItDoesNotKnow) {
  for (const char* name : {"", "gpu", "cuda:", "cuda:x", "cuda:-1", "cpu:0"}) {
    EXPECT_THROW(open_device(name), UsageError) << name;
  }
}

TEST(Device, OpensAGpuOrSaysWhatIsMissing) {
  try {
    EXPECT_TRUE(open_device("cuda:0").is_cuda());
    EXPECT_THROW(open_device("cuda:999"), UsageError);
  } catch (const Error& error) {
    EXPECT_FALSE(error.hint().empty()) << error.what();
  }
}

TEST(Device, KnowsTheMachinesMemory) {
  const DeviceMemory memory = memory_of(at::kCPU);
  EXPECT_GT(memory.free, 0);
  EXPECT_GE(memory.total, memory.free);
}

TEST(Device, CountsTheMostThatAGpuHeldAndNothingOnTheCpu) {
  EXPECT_FALSE(peak_of(at::kCPU).has_value());
  at::Device device = at::kCPU;
  try {
    device = open_device("cuda");
  } catch (const Error&) {
    GTEST_SKIP() << "no GPU answers";
  }
  constexpr std::int64_t kBytes = std::int64_t{1} << 26;
  const std::int64_t before = peak_of(device).value();
  at::empty({kBytes}, at::TensorOptions(at::kByte).device(device));
  EXPECT_GE(peak_of(device).value(), std::max(before, kBytes));
}

}  // namespace
}  // namespace mformer
