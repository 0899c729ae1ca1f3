#include "core/device/device.h"

#include <ATen/Context.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <dlfcn.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "modules_registry/error.h"

namespace mformer {
namespace {

/// The index in "cuda" or "cuda:N".
int index_of(const std::string& name) {
  if (name == "cuda") return 0;
  const std::string index = name.starts_with("cuda:") ? name.substr(5) : "";
  const bool digits = std::all_of(index.begin(), index.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (index.empty() || index.size() > 3 || !digits) {
    throw UsageError("there is no device '" + name.substr(0, 40) + "'", "known: cpu, cuda, cuda:N");
  }
  return std::stoi(index);
}

/// For the whole process: LibTorch finds CUDA by what its library registers when it is loaded.
void load_cuda_library() {
  if (dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) != nullptr) return;
  const char* why = dlerror();
  throw Error(std::string("LibTorch's CUDA library can't be loaded: ") + (why == nullptr ? "no reason given" : why),
              "build with a LibTorch that has it, a Python environment's with CUDA say: "
              "CMAKE_PREFIX_PATH=.../site-packages/torch; or leave --device out");
}

}  // namespace

at::Device open_device(const std::string& name) {
  if (name == "cpu") return at::kCPU;
  const int index = index_of(name);
  load_cuda_library();
  const at::CUDAHooksInterface& cuda = at::detail::getCUDAHooks();
  const int devices = cuda.hasCUDA() ? cuda.deviceCount() : 0;
  if (devices == 0) {
    throw Error("no GPU answers", "nvidia-smi lists those that do; the driver may be missing or too old");
  }
  if (index >= devices) {
    throw UsageError("there is no '" + name + "': the last GPU is cuda:" + std::to_string(devices - 1),
                     "they are counted from 0");
  }
  at::globalContext().lazyInitDevice(at::kCUDA);
  return {at::kCUDA, static_cast<at::DeviceIndex>(index)};
}

DeviceMemory memory_of(at::Device device) {
  DeviceMemory memory;
  if (device.is_cuda()) {
    const auto [free, total] = c10::getDeviceAllocator(device.type())->getMemoryInfo(device.index());
    return {static_cast<std::int64_t>(free), static_cast<std::int64_t>(total)};
  }
  if (!device.is_cpu()) return memory;
  std::ifstream file("/proc/meminfo");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name;
    std::int64_t kilobytes = 0;
    if (!(words >> name >> kilobytes)) continue;
    if (name == "MemTotal:") memory.total = kilobytes * 1024;
    if (name == "MemAvailable:") memory.free = kilobytes * 1024;
  }
  return memory;
}

std::optional<std::int64_t> peak_of(at::Device device) {
  if (!device.is_cuda()) return std::nullopt;
  const auto stats = c10::getDeviceAllocator(device.type())->getDeviceStats(device.index());
  return stats.allocated_bytes[static_cast<std::size_t>(c10::CachingAllocator::StatType::AGGREGATE)].peak;
}

}  // namespace mformer
