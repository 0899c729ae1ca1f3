#pragma once

#include "kernels/cuda/warp.h"

namespace mformer::kernels::cuda {

/// A warp of the GPU: each thread is a lane of its own.
class DeviceWarp {
 public:
  template <class Step>
  __device__ __forceinline__ void lanes(const Step& step) const {
    step(static_cast<int>(threadIdx.x));
    __syncwarp();  // operations of the warp want all lanes at once
  }

  template <class T>
  class Local {
   public:
    __device__ __forceinline__ T& operator[](int) { return value_; }

   private:
    T value_;
  };

  template <bool transposed, class From, class To>
  __device__ __forceinline__ void load_matrices(const From& from, const To& to) const {
    const int thread = static_cast<int>(threadIdx.x);
    const auto at = static_cast<uint32_t>(__cvta_generic_to_shared(from(thread)));
    uint32_t* x = to(thread);
    if constexpr (transposed) {
      asm volatile(
          "ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, "
          "%2, %3}, [%4];"
          : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3])
          : "r"(at)
          : "memory");
    } else {
      asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                   : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3])
                   : "r"(at)
                   : "memory");
    }
  }

  template <class Sums, class A, class B>
  __device__ __forceinline__ void multiply_add(const Sums& sums, const A& a, const B& b) const {
    const int thread = static_cast<int>(threadIdx.x);
    float* d = sums(thread);
    const uint32_t *x = a(thread), *y = b(thread);
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, "
        "{%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(x[0]), "r"(x[1]), "r"(x[2]), "r"(x[3]), "r"(y[0]), "r"(y[1]));
  }
};

/// The executor of the GPU: a thread is a thread, and what it keeps is in its registers.
class DeviceBlock {
 public:
  __device__ DeviceBlock() : index{blockIdx.x, blockIdx.y} {}

  BlockIndex index;

  template <class Phase>
  __device__ __forceinline__ void each(const Phase& phase) const {
    phase(static_cast<int>(threadIdx.x));
    __syncthreads();
  }

  template <class Phase>
  __device__ __forceinline__ void each_warp(const Phase& phase) const {
    DeviceWarp warp;
    phase(warp);
    __syncthreads();
  }

  template <class T>
  using Local = DeviceWarp::Local<T>;

  /// As HostBlock's.
  __device__ __forceinline__ void copy_sixteen(int, void* to, const void* from, bool real) const {
    const auto at = static_cast<uint32_t>(__cvta_generic_to_shared(to));
    const uint32_t bytes = real ? 16 : 0;  // what is not read becomes 0
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(at), "l"(__cvta_generic_to_global(from)),
                 "r"(bytes)
                 : "memory");
  }
  __device__ __forceinline__ void wait_for_copies(int) const { asm volatile("cp.async.wait_all;" ::: "memory"); }
};

}  // namespace mformer::kernels::cuda
