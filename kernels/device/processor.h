#pragma once

#include <c10/core/Device.h>

namespace mformer::kernels::device {

/// The compute capability of a CUDA device as 10 · major + minor (an H200 has 90), by its driver; 0 where none answers.
int compute_capability(const c10::Device& device);

/// Whether LibTorch 2.11 multiplies groups in one product on a processor of this capability: Hopper (9.x) and Blackwell
/// of data centres (10.x). Elsewhere at::_grouped_mm waits for the offsets and loops over the modules.
constexpr bool multiplies_groups(int capability) {
  return capability / 10 == 9 || capability / 10 == 10;
}

/// The same of a device; those that are no CUDA devices are taken to do what LibTorch does for them.
bool multiplies_groups(const c10::Device& device);

}  // namespace mformer::kernels::device
