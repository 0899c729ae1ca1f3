#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>

namespace mformer {

/// Opens a device to compute on: "cpu", "cuda" (the first GPU) or "cuda:N". For a GPU, LibTorch's CUDA library, which
/// the program is not linked with, is loaded first; so call this before anything else that might ask LibTorch whether
/// there is CUDA. Throws Error with a hint where the library is missing or no GPU answers, and UsageError for an
/// unknown name or a GPU that is not there.
at::Device open_device(const std::string& name);

/// Bytes of a device's memory, or for the CPU of the machine's.
struct DeviceMemory {
  std::int64_t free = 0;   ///< What a program can get now, caches of the operating system included.
  std::int64_t total = 0;  ///< 0 where neither can be told.
};
DeviceMemory memory_of(at::Device device);

/// The most bytes that this process's tensors held at one time in the memory of a GPU, as LibTorch's allocator counts
/// them: with its rounding, without what it keeps for later or the driver needs. Nothing for the CPU, where nobody
/// counts.
std::optional<std::int64_t> peak_of(at::Device device);

}  // namespace mformer
