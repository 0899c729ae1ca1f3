#include "core/training/retain_memory.h"

#include <ATen/ATen.h>
#include <c10/core/CPUAllocator.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include <cstdint>
#include <vector>

namespace mformer {
namespace {

at::Tensor room_of(std::int64_t bytes) {
  return at::empty({bytes}, at::kByte);
}

class RetainedMemory : public ::testing::Test {
 protected:
  RetainedMemory() { retain_freed_memory(); }
  ~RetainedMemory() override { c10::SetCPUAllocator(c10::GetDefaultCPUAllocator()); }
};

TEST_F(RetainedMemory, GivesAFreedTensorsPlaceToTheNextOneOfItsSize) {
  at::Tensor first = room_of(3'000'000);
  const void* const data = first.const_data_ptr();
  const at::Tensor behind = room_of(100'000);
  first.reset();
  EXPECT_EQ(room_of(3'000'000).const_data_ptr(), data);
}

#ifdef __GLIBC__
TEST_F(RetainedMemory, TakesNoMoreForTensorsThatStayWhenOthersComeAndGoBetweenThem) {
  const std::size_t before = mallinfo2().arena;
  std::vector<at::Tensor> kept;
  for (int layer = 0; layer < 30; ++layer) {  // as a forward pass does
    const at::Tensor passing = room_of(4'000'000);
    kept.push_back(room_of(1'000'000));
  }
  EXPECT_LT(mallinfo2().arena - before, std::size_t{30'000'000 + 4'000'000 + (64 << 20)});
}
#endif

TEST_F(RetainedMemory, AlignsTensorsAsLibTorchDoes) {
  for (const std::int64_t bytes : {0, 1, 16'384, 16'385, 1'000'003}) {
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(room_of(bytes).const_data_ptr()) % 64, 0U) << bytes;
  }
}

TEST_F(RetainedMemory, IsAlsoTakenAndFreedByItsAddressAlone) {
  c10::Allocator* const memory = c10::GetCPUAllocator();
  for (const std::size_t bytes : {0, 1, 16'385, 1'000'003}) {
    void* const data = memory->raw_allocate(bytes);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(data) % 64, 0U) << bytes;
    memory->raw_deallocate(data);
  }
  for (const std::int64_t number : {100, 100'000}) EXPECT_EQ(at::gelu(at::zeros({number})).sum().item<float>(), 0);
}

TEST_F(RetainedMemory, LeavesTheWordsToLibTorchWhereThereIsNoMemory) {
  EXPECT_THROW(room_of(std::int64_t{1} << 60), c10::Error);
}

}  // namespace
}  // namespace mformer
