#include "kernels/device/processor.h"

#include <dlfcn.h>

namespace mformer::kernels::device {
namespace {

/// Of the driver's interface, which is plain C and has not changed since CUDA 2: its library is there wherever a CUDA
/// device is, also in builds without a CUDA compiler.
struct Driver {
  using GetDevice = int(int* device, int ordinal);
  using GetAttribute = int(int* value, int attribute, int device);
  GetDevice* get_device = nullptr;
  GetAttribute* get_attribute = nullptr;

  Driver() {
    void* library = dlopen("libcuda.so.1", RTLD_NOW);  // stays open
    if (library == nullptr) return;
    get_device = reinterpret_cast<GetDevice*>(dlsym(library, "cuDeviceGet"));
    get_attribute = reinterpret_cast<GetAttribute*>(dlsym(library, "cuDeviceGetAttribute"));
  }

  /// Zero where the driver does not answer.
  int attribute(int which, int ordinal) const {
    int device = 0, value = 0;
    if (get_device == nullptr || get_attribute == nullptr || get_device(&device, ordinal) != 0) return 0;
    return get_attribute(&value, which, device) == 0 ? value : 0;
  }
};

}  // namespace

int compute_capability(const c10::Device& device) {
  constexpr int kMajor = 75, kMinor = 76;  // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_…
  if (!device.is_cuda()) return 0;
  static const Driver driver;
  return 10 * driver.attribute(kMajor, device.index()) + driver.attribute(kMinor, device.index());
}

bool multiplies_groups(const c10::Device& device) {
  return !device.is_cuda() || multiplies_groups(compute_capability(device));
}

}  // namespace mformer::kernels::device
