#pragma once

#include <c10/core/Device.h>

#include <cmath>
#include <string>
#include <vector>

#include "kernels/device/kernel_switch.h"

namespace mformer::kernels::device {

/// One kernel on one input against the CPU's kernels (attention: in float64).
struct KernelCheck {
  Kernel kernel = Kernel::attention_forward;
  std::string input;
  double error = INFINITY;  ///< ‖ours − the CPU's‖ / ‖the CPU's‖, the worst of the results.
  double tolerance = 0;
  double kernel_ms = 0, composite_ms = 0;  ///< Of a run, where asked for.
  std::string refusal{};                   ///< CUDA's words, where it did not run.
  bool passed() const { return refusal.empty() && error <= tolerance; }
};

/// Small: edges of tiles, both dtypes, padding, cached keys; no times. Full: long heads and sticks and larger sizes
/// too, timed, in a second or two.
enum class Extent { small, full };

/// Runs every kernel on a CUDA device, or, for tests, in loops on the CPU.
std::vector<KernelCheck> check_kernels(const c10::Device& device, Extent extent);

/// Switches off the kernels that did not pass, with a warning for each.
void switch_off_wrong(const std::vector<KernelCheck>& checks);

/// The small checks, once a process and device.
void check_once(const c10::Device& device);

}  // namespace mformer::kernels::device
