#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

// How a GPU kernel is written here: as the program of one block, a function template over an executor,
//
//     template <class Block> MFORMER_HD void something(Block& block, Shared& shared, const Something& problem);
//
// that uses nothing of CUDA. block.each([&](int thread) {...}) is one phase: every thread runs it, then all wait for
// each other. What lies outside is the same for all threads. What a thread keeps from phase to phase is a
// Block::Local<T>; what threads tell each other is in `shared`, or in memory. A phase must not read what another thread
// writes in it. block.each_warp([&](auto& warp) {...}) is a phase of warps of 32 threads: warp.lanes([&](int thread)
// {...}) is run by each of them, and between such steps are operations of the whole warp (warp.h). On the GPU the
// executor is threadIdx and __syncthreads (device_block.h), on the host loops (host_block.h): so tests run the very
// same indexing, masking and arithmetic over all blocks and threads on a CPU.

#ifdef __CUDACC__
#define MFORMER_HD __device__ __forceinline__
#define MFORMER_UNROLL _Pragma("unroll")
#define MFORMER_UNROLL_TWICE _Pragma("unroll 2")
#define MFORMER_UNROLL_FOUR _Pragma("unroll 4")
#else
#define MFORMER_HD inline
#define MFORMER_UNROLL
#define MFORMER_UNROLL_TWICE
#define MFORMER_UNROLL_FOUR
#endif

namespace mformer::kernels::cuda {

/// Which block of the grid a program is.
struct BlockIndex {
  int64_t x = 0;
  int64_t y = 0;
};

/// Four neighbours, which are read and written at once.
struct alignas(16) Four {
  float v[4];
};

/// Storage of bfloat16; arithmetic is float32.
struct BFloat16 {
  uint16_t bits;
};

MFORMER_HD float to_float(float x) {
  return x;
}
MFORMER_HD float to_float(BFloat16 x) {
  const uint32_t bits = static_cast<uint32_t>(x.bits) << 16U;
  float value = 0;
  memcpy(&value, &bits, sizeof value);
  return value;
}

MFORMER_HD void assign(float& to, float x) {
  to = x;
}
/// Rounds to the nearest, ties to even.
MFORMER_HD void assign(BFloat16& to, float x) {
#ifdef __CUDACC__
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(to.bits) : "f"(x));
#else
  uint32_t bits = 0;
  memcpy(&bits, &x, sizeof bits);
  const bool nan = (bits & 0x7fffffffU) > 0x7f800000U;
  to.bits = nan ? uint16_t{0x7fc0} : static_cast<uint16_t>((bits + 0x7fffU + ((bits >> 16U) & 1U)) >> 16U);
#endif
}

/// To about 20 bits, where a GPU is quicker so: e^x for |x| < 87, a / b for b < 2^126.
MFORMER_HD float quick_exp(float x) {
#ifdef __CUDACC__
  return __expf(x);
#else
  return expf(x);
#endif
}
MFORMER_HD float quick_quotient(float a, float b) {
#ifdef __CUDACC__
  return __fdividef(a, b);
#else
  return a / b;
#endif
}

template <class T>
MFORMER_HD T least(T a, T b) {
  return b < a ? b : a;
}
template <class T>
MFORMER_HD T most(T a, T b) {
  return a < b ? b : a;
}

}  // namespace mformer::kernels::cuda
