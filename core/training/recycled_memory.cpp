#include "core/training/recycled_memory.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <sys/mman.h>

#include <algorithm>
#include <mutex>
#include <utility>
#include <vector>

namespace mformer {
namespace {

constexpr std::size_t kLeast = std::size_t{256} << 10, kMostKept = std::size_t{256} << 20;
constexpr std::size_t kHugePage = std::size_t{2} << 20;

struct MappedBlock {
  void* data = nullptr;
  std::size_t bytes = 0;
};

void unmap(const MappedBlock& block) {
  ::munmap(block.data, block.bytes);
}

/// Whole pages of the system, or nothing where it has none.
MappedBlock map(std::size_t bytes) {
  void* data = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) return {};
  if (bytes >= 2 * kHugePage) ::madvise(data, bytes, MADV_HUGEPAGE);  // only to save time
  return {data, bytes};
}

/// Few sizes, so that a block fits many tensors: steps of an eighth, in whole pages.
std::size_t rounded(std::size_t bytes) {
  std::size_t step = 4096;
  while (step * 16 <= bytes) step *= 2;
  return (bytes + step - 1) / step * step;
}

class RecycledMemory : public c10::Allocator {
 public:
  explicit RecycledMemory(c10::Allocator* small) : small_(small) {}

  c10::DataPtr allocate(std::size_t bytes) override {
    if (bytes < kLeast) return small_->allocate(bytes);
    MappedBlock block = take(rounded(bytes));
    if (block.data == nullptr) block = map(rounded(bytes));
    if (block.data == nullptr) {
      release_all();
      return small_->allocate(bytes);  // which says how much there was no memory for
    }
    auto* const owned = new MappedBlock(block);
    return {block.data, owned, &give_back, c10::Device(c10::DeviceType::CPU)};
  }

  void copy_data(void* to, const void* from, std::size_t count) const override { default_copy_data(to, from, count); }

  static RecycledMemory& instance() {
    // Never destroyed: tensors may live until the process ends.
    static auto* const memory = new RecycledMemory(c10::GetDefaultCPUAllocator());
    return *memory;
  }

 private:
  static void give_back(void* owned) {
    auto* const block = static_cast<MappedBlock*>(owned);
    instance().keep(*block);
    delete block;
  }

  MappedBlock take(std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    const auto fits = [&](const MappedBlock& block) { return block.bytes == bytes; };
    const auto found = std::find_if(kept_.rbegin(), kept_.rend(), fits);  // the last one is likely to be in the cache
    if (found == kept_.rend()) return {};
    const MappedBlock block = *found;
    kept_.erase(std::next(found).base());
    kept_bytes_ -= block.bytes;
    return block;
  }

  void keep(const MappedBlock& block) {
    const std::lock_guard lock(mutex_);
    kept_.push_back(block);
    kept_bytes_ += block.bytes;
    std::size_t oldest = 0;
    for (; kept_bytes_ > kMostKept; ++oldest) {
      unmap(kept_[oldest]);
      kept_bytes_ -= kept_[oldest].bytes;
    }
    kept_.erase(kept_.begin(), kept_.begin() + static_cast<std::ptrdiff_t>(oldest));
  }

  void release_all() {
    const std::lock_guard lock(mutex_);
    for (const MappedBlock& block : kept_) unmap(block);
    kept_.clear();
    kept_bytes_ = 0;
  }

  c10::Allocator* const small_;
  std::mutex mutex_;
  std::vector<MappedBlock> kept_;  ///< The oldest first.
  std::size_t kept_bytes_ = 0;
};

}  // namespace

void recycle_tensor_memory() {
  c10::SetCPUAllocator(&RecycledMemory::instance());
}

}  // namespace mformer
