#include "kernels/cpu/block_product.h"

namespace mformer::kernels::cpu {

// One file a processor kind, each compiled for it (kernels/CMakeLists.txt).
#ifdef MFORMER_X86_64
const BlockKernels& block_kernels_avx512_vnni();
const BlockKernels& block_kernels_avx2();
#endif
const BlockKernels& block_kernels_baseline();

std::vector<const BlockKernels*> available_block_kernels() {
  std::vector<const BlockKernels*> all;
#ifdef MFORMER_X86_64
  const bool avx512 = __builtin_cpu_supports("x86-64-v4");
  if (avx512 && __builtin_cpu_supports("avx512vnni")) all.push_back(&block_kernels_avx512_vnni());
  // AVX-512 alone multiplies no bytes of a sign: the 32-byte vectors are as good.
  if (__builtin_cpu_supports("x86-64-v3")) all.push_back(&block_kernels_avx2());
#endif
  all.push_back(&block_kernels_baseline());
  return all;
}

const BlockKernels& block_kernels() {
  static const BlockKernels& best = *available_block_kernels().front();
  return best;
}

}  // namespace mformer::kernels::cpu
