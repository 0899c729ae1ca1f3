#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include "kernels/cuda/launch.h"

namespace mformer::kernels::device::fused {

/// Runs a problem of kernels/cuda/launch.h where `x` lies: on its CUDA device's current stream, or on the host.
template <class... Problem>
void start(const at::Tensor& x, const Problem&... problem) {
  if (x.device().is_cpu()) {
    cuda::run(problem...);
    return;
  }
#ifdef MFORMER_HAS_CUDA
  TORCH_CHECK(x.is_cuda(), "no kernels for ", x.device());
  const c10::DeviceGuard guard(x.device());
  const c10::Stream stream = c10::impl::VirtualGuardImpl(c10::kCUDA).getStream(x.device());
  const cuda::Status status = cuda::launch(problem..., stream.native_handle());
  TORCH_CHECK(status.empty(), "CUDA did not start a kernel: ", status);
#else
  TORCH_CHECK(false, "this build has no kernels for ", x.device());
#endif
}

/// float32 or bfloat16.
inline cuda::Dtype dtype_of(const at::Tensor& x) {
  return x.scalar_type() == at::kFloat ? cuda::Dtype::float32 : cuda::Dtype::bfloat16;
}

}  // namespace mformer::kernels::device::fused
