#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

namespace mformer::kernels {

/// One operation compared with plain loops in float64 on a small random input.
struct SelfCheck {
  std::string operation;
  double error = 0;      ///< ‖ours − loops‖ / ‖loops‖.
  double tolerance = 0;  ///< Float32 rounding of sums this short stays well below it.
  bool passed() const { return error <= tolerance; }
};

/// Runs every kernel once, in milliseconds: says whether this machine's libraries and processor compute as they should.
/// The same input each time. Throws c10::Error only where a kernel refuses its input, which is a bug.
std::vector<SelfCheck> self_check();

/// What this processor multiplies matrices with, and how it takes bfloat16: "AVX-512, bfloat16 in AMX tiles".
std::string products_of_this_processor();

/// One of our GPU kernels on one input, compared with the CPU's.
struct DeviceSelfCheck {
  std::string kernel, input;
  double error = 0, tolerance = 0;
  double kernel_ms = 0, composite_ms = 0;  ///< A run of ours, and of the LibTorch operations that can replace it.
  bool passed = false;
  std::string refusal;  ///< Why it did not run; empty where it did.
};

/// Runs each GPU kernel on random and edge sizes, in seconds; one that does not pass is replaced by LibTorch operations
/// from now on, with a warning. (Whoever computes on a device has a shorter check run once, without being asked.) In a
/// build without CUDA only LibTorch's grouped product is checked; empty for other devices than CUDA's.
std::vector<DeviceSelfCheck> self_check(const at::Device& device);

/// How many of them are wrong or did not run.
std::size_t count_failed(const std::vector<DeviceSelfCheck>& checks);

}  // namespace mformer::kernels
