#include <cuda_runtime.h>

#include "kernels/cuda/device_block.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/programs.h"

namespace mformer::kernels::cuda {
namespace {

template <class Program>
__global__ void __launch_bounds__(Program::threads, Program::blocks) kernel(const typename Program::Problem problem) {
  extern __shared__ __align__(16) unsigned char room[];
  DeviceBlock block;
  Program::run(block, *reinterpret_cast<typename Program::Shared*>(room), problem);
}

struct DeviceRunner {
  cudaStream_t stream;

  template <class Program>
  Status run(int64_t x, int64_t y, const typename Program::Problem& problem) const {
    constexpr int64_t kMostInY = 65535;
    if (x == 0 || y == 0) return {};
    if (x > INT32_MAX || y > kMostInY) return "the grid is larger than CUDA allows";
    constexpr int bytes = sizeof(typename Program::Shared);
    cudaError_t error = cudaFuncSetAttribute(kernel<Program>, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
    if (error == cudaSuccess) {
      const dim3 grid(static_cast<unsigned>(x), static_cast<unsigned>(y));
      kernel<Program><<<grid, Program::threads, bytes, stream>>>(problem);
      error = cudaGetLastError();
    }
    if (error == cudaSuccess) return {};
    (void)
        cudaGetLastError();  // the runtime keeps an error until asked: the next kernel must not be blamed for this one
    return Status(cudaGetErrorString(error));
  }
};

DeviceRunner on(void* stream) {
  return {static_cast<cudaStream_t>(stream)};
}

}  // namespace

Status launch(const AttentionForward& problem, void* stream) {
  return run_all(on(stream), problem);
}
Status launch(const AttentionBackward& problem, AttentionPart part, void* stream) {
  return run_all(on(stream), problem, part);
}
Status launch(const Router& problem, void* stream) {
  return run_all(on(stream), problem);
}
Status launch(const RouterBackward& problem, void* stream) {
  return run_all(on(stream), problem);
}
Status launch(const Plan& problem, void* stream) {
  return run_all(on(stream), problem);
}
Status launch(const Gather& problem, void* stream) {
  return run_all(on(stream), problem);
}
Status launch(const Combine& problem, void* stream) {
  return run_all(on(stream), problem);
}
Status launch(const CombineBackward& problem, void* stream) {
  return run_all(on(stream), problem);
}
Status launch(const RmsNorm& problem, void* stream) {
  return run_all(on(stream), problem);
}
Status launch(const RmsNormBackward& problem, void* stream) {
  return run_all(on(stream), problem);
}
Status launch(const Rotation& problem, void* stream) {
  return run_all(on(stream), problem);
}
Status launch(const Gated& problem, void* stream) {
  return run_all(on(stream), problem);
}
Status launch(const GatedBackward& problem, void* stream) {
  return run_all(on(stream), problem);
}
Status launch(const AdamW& problem, void* stream) {
  return run_all(on(stream), problem);
}

}  // namespace mformer::kernels::cuda
