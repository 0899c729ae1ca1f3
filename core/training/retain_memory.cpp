#include "core/training/retain_memory.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <malloc.h>

#include <cstdint>
#include <cstdlib>

namespace mformer {

#ifdef __GLIBC__

namespace {

constexpr std::size_t kLeastAligned = std::size_t{16} << 10, kTensorAlignment = 64;

/// Room for a tensor anywhere in a block of malloc(), whose freed blocks fit the next tensor of their size. LibTorch
/// takes aligned blocks; the C library (glibc before 2.38) cuts those out of larger ones and finds no use for them when
/// they are freed, for they are as much too small.
class AlignedMemory : public c10::Allocator {
 public:
  explicit AlignedMemory(c10::Allocator* small) : small_(small) {}

  c10::DataPtr allocate(std::size_t bytes) override {
    void* const block = bytes < kLeastAligned ? nullptr : std::malloc(bytes + kTensorAlignment);
    if (block == nullptr) return small_->allocate(bytes);  // or says how much there was no memory for
    const auto address = reinterpret_cast<std::uintptr_t>(block);
    void* const data = reinterpret_cast<void*>((address + kTensorAlignment - 1) / kTensorAlignment * kTensorAlignment);
    return {data, block, &std::free, c10::Device(c10::DeviceType::CPU)};
  }

  void copy_data(void* to, const void* from, std::size_t count) const override { default_copy_data(to, from, count); }

 private:
  c10::Allocator* const small_;
};

}  // namespace

void retain_freed_memory() {
  mallopt(M_MMAP_MAX, 0);         // large blocks from the heap, too
  mallopt(M_TRIM_THRESHOLD, -1);  // never shrink the heap
  mallopt(M_TOP_PAD, 64 << 20);   // grow it 64 MiB at a time
  // Never destroyed: tensors may live until the process ends.
  static auto* const memory = new AlignedMemory(c10::GetDefaultCPUAllocator());
  c10::SetCPUAllocator(memory);
}

#else

void retain_freed_memory() {}

#endif

}  // namespace mformer
