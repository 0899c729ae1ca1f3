#include "core/training/recycled_memory.h"

#include <ATen/ATen.h>
#include <c10/core/CPUAllocator.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

namespace mformer {
namespace {

/// Of addresses, whether written to or not.
std::int64_t mapped_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::int64_t pages = 0;
  statm >> pages;
  return pages * ::sysconf(_SC_PAGESIZE);
}

at::Tensor tensor_of(std::int64_t bytes) {
  return at::empty({bytes}, at::kByte);
}

class RecycledMemory : public ::testing::Test {
 protected:
  RecycledMemory() { recycle_tensor_memory(); }
  ~RecycledMemory() override { c10::SetCPUAllocator(c10::GetDefaultCPUAllocator()); }
};

TEST_F(RecycledMemory, GivesAFreedTensorsMemoryToTheNextOneOfAboutThatSize) {
  at::Tensor first = tensor_of(3'000'000);
  const void* const data = first.const_data_ptr();
  EXPECT_NE(tensor_of(3'000'000).const_data_ptr(), data) << "while it lives nobody else has it";
  first = at::Tensor();
  EXPECT_EQ(tensor_of(3'000'100).const_data_ptr(), data);
  EXPECT_NE(tensor_of(6'000'000).const_data_ptr(), data);
}

TEST_F(RecycledMemory, KeepsSoMuchAndNoMore) {
  const std::int64_t before = mapped_bytes();
  for (std::int64_t size = 10'000'000; size < 90'000'000; size += 4'000'000) tensor_of(size);  // 1 GB in all
  EXPECT_LT(mapped_bytes() - before, 300'000'000);
}

TEST_F(RecycledMemory, DoesNotGrowWithWhatPassesInChangingSizes) {
  std::int64_t after_some = 0;
  for (int round = 0; round < 40; ++round) {
    for (const std::int64_t size : {300'000, 1'048'576, 2'097'152, 1'500'000, 12'582'912}) {
      const at::Tensor one = tensor_of(size), other = tensor_of(size + 64);
    }
    if (round == 4) after_some = mapped_bytes();
  }
  EXPECT_LT(mapped_bytes() - after_some, 4'000'000);
}

}  // namespace
}  // namespace mformer
