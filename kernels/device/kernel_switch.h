#pragma once

#include <c10/core/Device.h>

#include <optional>
#include <string>
#include <vector>

namespace mformer::kernels::device {

/// Our own GPU kernels (kernels/cuda). Each has a composite of LibTorch operations (kernels/device) that computes the
/// same, for builds without CUDA, for other dtypes and sizes, and for when a kernel was switched off. With them, though
/// not ours: LibTorch's grouped product, which a product a module can replace.
enum class Kernel {
  attention_forward,
  attention_backward,
  router,
  plan,
  gather,
  combine,
  rms_norm,
  rotary,
  gated_activation,
  adamw,
  grouped_product
};

inline const std::vector<Kernel>& all_kernels() {
  static const std::vector<Kernel> all = {Kernel::attention_forward,
                                          Kernel::attention_backward,
                                          Kernel::router,
                                          Kernel::plan,
                                          Kernel::gather,
                                          Kernel::combine,
                                          Kernel::rms_norm,
                                          Kernel::rotary,
                                          Kernel::gated_activation,
                                          Kernel::adamw,
                                          Kernel::grouped_product};
  return all;
}

/// As messages say it.
const char* name(Kernel kernel);

/// Whether this program holds the kernels at all.
bool built_with_cuda();

/// Whether `kernel` is used on `device`: not switched off, and a CUDA device (the grouped product: any but the CPU, and
/// only such CUDA devices as multiply groups in one product, processor.h).
/// The first question about a CUDA device has every kernel compared with the CPU (kernel_check.h) and switches off
/// those that disagree, with a warning.
bool uses_kernel(Kernel kernel, const c10::Device& device);

/// For this process: the composite computes from now on.
void switch_off(Kernel kernel, const std::string& reason);
void switch_on(Kernel kernel);
/// The reason, where it is off.
std::optional<std::string> why_off(Kernel kernel);

}  // namespace mformer::kernels::device
