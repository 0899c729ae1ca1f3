#include "core/training/retain_memory.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <malloc.h>

#include <cstdint>
#include <cstdlib>

namespace mformer {

#ifdef __GLIBC__

namespace {

constexpr std::size_t kTensorAlignment = 64;

/// Where the block of malloc() begins stands before the tensor's bytes, whose address is thus all that freeing needs:
/// LibTorch's own operations also take memory by the address alone (raw_allocate()). malloc() aligns to 16 bytes, so
/// that there is always room for it.
void*& block_of(void* data) {
  return static_cast<void**>(data)[-1];
}

void free_block_of(void* data) {
  if (data != nullptr) std::free(block_of(data));
}

/// Room for a tensor anywhere in a block of malloc(), whose freed blocks fit the next tensor of their size. LibTorch
/// takes aligned blocks; the C library (glibc before 2.38) cuts those out of larger ones and finds no use for them when
/// they are freed, for they are as much too small.
class AlignedMemory : public c10::Allocator {
 public:
  explicit AlignedMemory(c10::Allocator* libtorchs) : libtorchs_(libtorchs) {}

  c10::DataPtr allocate(std::size_t bytes) override {
    const bool fits = bytes <= SIZE_MAX - kTensorAlignment;
    void* const block = bytes == 0 || !fits ? nullptr : std::malloc(bytes + kTensorAlignment);
    if (block == nullptr && bytes > 0) return libtorchs_->allocate(bytes);  // says how much there was no memory for
    void* data = nullptr;
    if (block != nullptr) {
      const auto address = reinterpret_cast<std::uintptr_t>(block);
      data = reinterpret_cast<void*>(address / kTensorAlignment * kTensorAlignment + kTensorAlignment);
      block_of(data) = block;
    }
    return {data, data, &free_block_of, c10::Device(c10::DeviceType::CPU)};
  }

  c10::DeleterFnPtr raw_deleter() const override { return &free_block_of; }

  void copy_data(void* to, const void* from, std::size_t count) const override { default_copy_data(to, from, count); }

 private:
  c10::Allocator* const libtorchs_;
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
