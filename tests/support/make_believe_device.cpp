#include "tests/support/make_believe_device.h"

#include <ATen/ATen.h>
#include <ATen/EmptyTensor.h>
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <ATen/native/CPUFallback.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/view_native.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <c10/util/ScopeExit.h>
#include <sys/mman.h>
#include <torch/library.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <set>

namespace mformer::testing {
namespace {

constexpr auto kType = c10::DeviceType::PrivateUse1;
constexpr std::size_t kPage = 4096;

std::size_t in_pages(std::size_t bytes) {
  return (bytes + kPage - 1) / kPage * kPage;
}

/// The device's memory: whole pages for every allocation, closed but while someone holds it open.
class Memory {
 public:
  static Memory& instance() {
    static Memory memory;
    return memory;
  }

  void* allocate(std::size_t bytes) {
    void* start = mmap(nullptr, in_pages(bytes), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    TORCH_CHECK(start != MAP_FAILED, "the make-believe device has no memory left");
    const std::lock_guard lock(mutex_);
    blocks_[start] = {bytes, 0};
    bytes_ += static_cast<std::int64_t>(bytes);
    peak_ = std::max(peak_, bytes_);
    return start;
  }

  void free(void* start) {
    const std::lock_guard lock(mutex_);
    const auto block = blocks_.find(start);
    bytes_ -= static_cast<std::int64_t>(block->second.bytes);
    munmap(start, in_pages(block->second.bytes));
    blocks_.erase(block);
  }

  void open(void* start) {
    const std::lock_guard lock(mutex_);
    Block& block = blocks_.at(start);
    if (block.holders++ == 0) mprotect(start, in_pages(block.bytes), PROT_READ | PROT_WRITE);
  }

  void close(void* start) {
    const std::lock_guard lock(mutex_);
    Block& block = blocks_.at(start);
    if (--block.holders == 0) mprotect(start, in_pages(block.bytes), PROT_NONE);
  }

  std::int64_t bytes() const { return bytes_; }
  std::int64_t peak() const { return peak_; }
  void reset_peak() { peak_ = bytes_; }

 private:
  struct Block {
    std::size_t bytes;
    int holders;
  };
  std::mutex mutex_;
  std::map<void*, Block> blocks_;
  std::int64_t bytes_ = 0, peak_ = 0;
};

class MakeBelieveAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(std::size_t bytes) override {
    void* start = bytes == 0 ? nullptr : Memory::instance().allocate(bytes);
    return {start, start, raw_deleter(), make_believe_device()};
  }
  c10::DeleterFnPtr raw_deleter() const override {
    return [](void* start) {
      if (start != nullptr) Memory::instance().free(start);
    };
  }
  void copy_data(void* to, const void* from, std::size_t bytes) const override {
    Memory& memory = Memory::instance();
    void* source = const_cast<void*>(from);
    memory.open(to), memory.open(source);
    default_copy_data(to, from, bytes);
    memory.close(source), memory.close(to);
  }
};

MakeBelieveAllocator& allocator() {
  static MakeBelieveAllocator one;
  return one;
}

struct Hooks final : at::PrivateUse1HooksInterface {
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
};

struct MakeBelieveGuard final : c10::impl::NoOpDeviceGuardImpl<kType> {
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
  c10::Device getDevice() const override { return make_believe_device(); }
  c10::Device exchangeDevice(c10::Device) const override { return make_believe_device(); }
  c10::Stream getStream(c10::Device) const noexcept override { return stream(); }
  c10::Stream exchangeStream(c10::Stream) const noexcept override { return stream(); }
  // Autograd waits for one thread's work in another by events. Here all work is done when an operation returns.
  void record(void**, const c10::Stream&, c10::DeviceIndex, c10::EventFlag) const override {}
  void block(void*, const c10::Stream&) const override {}
  bool queryEvent(void*) const override { return true; }

 private:
  static c10::Stream stream() { return c10::Stream(c10::Stream::DEFAULT, make_believe_device()); }
};

/// A CPU tensor over the same memory, which is open.
at::Tensor on_host(const at::Tensor& x) {
  if (x.device().type() != kType) return x;
  return at::from_blob(const_cast<void*>(x.const_data_ptr()), x.sizes(), x.strides(),
                       at::TensorOptions(x.scalar_type()));
}

// ---- The few operations that are the device's own: to get memory, to look at it differently, to copy ---------------

at::Tensor empty(at::IntArrayRef size, std::optional<at::ScalarType> dtype, std::optional<at::Layout>,
                 std::optional<at::Device>, std::optional<bool>, std::optional<at::MemoryFormat> format) {
  return at::detail::empty_generic(size, &allocator(), c10::DispatchKeySet(c10::DispatchKey::PrivateUse1),
                                   dtype.value_or(at::kFloat), format);
}

at::Tensor empty_strided(at::IntArrayRef size, at::IntArrayRef stride, std::optional<at::ScalarType> dtype,
                         std::optional<at::Layout>, std::optional<at::Device>, std::optional<bool>) {
  return at::detail::empty_strided_generic(
      size, stride, &allocator(), c10::DispatchKeySet(c10::DispatchKey::PrivateUse1), dtype.value_or(at::kFloat));
}

std::atomic<std::int64_t> waits = 0;
thread_local bool cpu_at_work = false;  // what the CPU copies to do an operation in the device's stead does not count

at::Tensor copy_from(const at::Tensor& from, const at::Tensor& to, bool) {
  if (!cpu_at_work && from.device() != to.device()) ++waits;
  const OpenMemory open({from, to});
  on_host(to).copy_(on_host(from));
  return to;
}

const at::Tensor& resize_(const at::Tensor& self, at::IntArrayRef size, std::optional<at::MemoryFormat>) {
  const auto needed = at::detail::computeStorageNbytesContiguous(size, self.element_size(), self.storage_offset());
  if (needed > self.storage().nbytes()) {
    const at::Tensor larger = at::empty({static_cast<std::int64_t>(needed)}, self.options().dtype(at::kByte));
    self.unsafeGetTensorImpl()->set_storage_keep_dtype(larger.storage());
  }
  self.unsafeGetTensorImpl()->set_sizes_contiguous(size);
  return self;
}

at::Tensor copy_from_and_resize(const at::Tensor& from, const at::Tensor& to) {
  if (to.sizes() != from.sizes()) resize_(to, from.sizes(), std::nullopt);
  return copy_from(from, to, false);
}

// ---- Everything else: the CPU does it -------------------------------------------------------------------------------

/// Throws where an operation gets tensors of both devices.
void require_one_device(const c10::OperatorHandle& operation, const torch::jit::Stack& stack) {
  const auto& schema = operation.schema();
  const auto arguments = torch::jit::last(stack, schema.arguments().size());
  const auto check = [&](const at::Tensor& x, bool listed) {
    if (!x.defined() || x.device().type() == kType || (x.dim() == 0 && !listed)) return;
    TORCH_CHECK(false, "Expected all tensors to be on the same device, but ", schema.name(), " got one of ", x.sizes(),
                " on ", x.device(), " beside some on ", make_believe_device());
  };
  for (const c10::IValue& argument : arguments) {
    if (argument.isTensor()) check(argument.toTensor(), false);
    if (argument.isTensorList()) {
      for (const at::Tensor& x : argument.toTensorVector()) check(x, true);
    }
    if (argument.isOptionalTensorList()) {
      for (const std::optional<at::Tensor>& x : argument.toOptionalTensorVector())
        check(x.value_or(at::Tensor()), true);
    }
  }
}

/// Whether what it returns, or how much, has to be known on the host.
bool asks_the_device(const std::string& name) {
  static const std::set<std::string> asking = {
      "aten::_local_scalar_dense", "aten::equal",    "aten::nonzero",
      "aten::masked_select",       "aten::_unique2", "aten::repeat_interleave"};
  return asking.count(name) != 0;
}

void fallback(const c10::OperatorHandle& operation, torch::jit::Stack* stack) {
  require_one_device(operation, *stack);
  if (!cpu_at_work && asks_the_device(operation.schema().name())) ++waits;
  const auto end = c10::make_scope_exit([outer = cpu_at_work] { cpu_at_work = outer; });
  cpu_at_work = true;
  at::native::cpu_fallback(operation, stack);
}

}  // namespace

C10_REGISTER_GUARD_IMPL(PrivateUse1, MakeBelieveGuard)

TORCH_LIBRARY_IMPL(aten, PrivateUse1, library) {
  library.impl("empty.memory_format", empty);
  library.impl("empty_strided", empty_strided);
  library.impl("as_strided", at::native::as_strided_tensorimpl);
  library.impl("view", at::native::view);
  library.impl("_reshape_alias", at::native::_reshape_alias);
  library.impl("resize_", resize_);
  library.impl("_copy_from", copy_from);
  library.impl("_copy_from_and_resize", copy_from_and_resize);
  // LibTorch would make it of operations that ask the device for the offsets; a GPU with a kernel for it does not.
  library.impl("_grouped_mm", torch::CppFunction::makeFromBoxedFunction<&fallback>());
}

TORCH_LIBRARY_IMPL(_, PrivateUse1, library) {
  library.fallback(torch::CppFunction::makeFromBoxedFunction<&fallback>());
}

at::Device make_believe_device() {
  static const bool registered = [] {
    static Hooks hooks;
    c10::SetAllocator(kType, &allocator());
    c10::register_privateuse1_backend("make_believe");
    at::RegisterPrivateUse1HooksInterface(&hooks);
    return true;
  }();
  return {kType, static_cast<c10::DeviceIndex>(registered ? 0 : -1)};
}

std::int64_t make_believe_bytes() {
  return Memory::instance().bytes();
}

std::int64_t make_believe_peak() {
  return Memory::instance().peak();
}

void reset_make_believe_peak() {
  Memory::instance().reset_peak();
}

std::int64_t make_believe_waits() {
  return waits;
}

OpenMemory::OpenMemory(const std::vector<at::Tensor>& tensors) {
  for (const at::Tensor& x : tensors) {
    if (!x.defined() || x.device().type() != kType || x.storage().nbytes() == 0) continue;
    Memory::instance().open(x.storage().mutable_data());
    tensors_.push_back(x);
  }
}

OpenMemory::~OpenMemory() {
  for (const at::Tensor& x : tensors_) Memory::instance().close(x.storage().mutable_data());
}

}  // namespace mformer::testing
