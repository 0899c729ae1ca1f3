#include "core/device/device.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace mformer
