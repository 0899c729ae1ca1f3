#include "kernels/device/kernel_switch.h"

#include <array>
#include <mutex>

#include "kernels/device/kernel_check.h"
#include "kernels/device/processor.h"

namespace mformer::kernels::device {
namespace {

constexpr std::size_t kKernels = static_cast<std::size_t>(Kernel::grouped_product) + 1;

struct Switches {
  std::mutex mutex;
  std::array<std::optional<std::string>, kKernels> off;
};

Switches& switches() {
  static Switches all;
  return all;
}

}  // namespace

const char* name(Kernel kernel) {
  switch (kernel) {
    case Kernel::attention_forward:
      return "attention";
    case Kernel::attention_backward:
      return "attention's gradient";
    case Kernel::router:
      return "router";
    case Kernel::plan:
      return "dispatch";
    case Kernel::gather:
      return "gather";
    case Kernel::combine:
      return "combine";
    case Kernel::rms_norm:
      return "RMSNorm";
    case Kernel::rotary:
      return "rotary positions";
    case Kernel::gated_activation:
      return "gated activation";
    case Kernel::adamw:
      return "AdamW";
    case Kernel::grouped_product:
      return "grouped product";
  }
  return "";
}

bool built_with_cuda() {
#ifdef MFORMER_HAS_CUDA
  return true;
#else
  return false;
#endif
}

bool uses_kernel(Kernel kernel, const c10::Device& device) {
  if (kernel == Kernel::grouped_product) {
    if (device.is_cpu() || !multiplies_groups(device)) return false;
  } else if (!built_with_cuda() || !device.is_cuda()) {
    return false;
  }
  if (device.is_cuda()) check_once(device);
  return !why_off(kernel).has_value();
}

void switch_off(Kernel kernel, const std::string& reason) {
  const std::lock_guard lock(switches().mutex);
  switches().off[static_cast<std::size_t>(kernel)] = reason;
}

void switch_on(Kernel kernel) {
  const std::lock_guard lock(switches().mutex);
  switches().off[static_cast<std::size_t>(kernel)].reset();
}

std::optional<std::string> why_off(Kernel kernel) {
  const std::lock_guard lock(switches().mutex);
  return switches().off[static_cast<std::size_t>(kernel)];
}

}  // namespace mformer::kernels::device
