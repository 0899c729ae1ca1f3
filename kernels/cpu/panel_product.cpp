#include "kernels/cpu/panel_product.h"

namespace mformer::kernels::cpu {

// One file a processor kind, each compiled for it (kernels/CMakeLists.txt).
#ifdef MFORMER_X86_64
bool may_use_amx();
const PanelKernels& panel_kernels_amx();
const PanelKernels& panel_kernels_avx512_bf16();
const PanelKernels& panel_kernels_avx512();
const PanelKernels& panel_kernels_avx2();
#endif
const PanelKernels& panel_kernels_baseline();

std::vector<const PanelKernels*> available_panel_kernels() {
  std::vector<const PanelKernels*> all;
#ifdef MFORMER_X86_64
  const bool avx512 = __builtin_cpu_supports("x86-64-v4");
  const bool bfloat16 = avx512 && __builtin_cpu_supports("avx512bf16");
  if (bfloat16 && may_use_amx()) all.push_back(&panel_kernels_amx());
  if (bfloat16) all.push_back(&panel_kernels_avx512_bf16());
  if (avx512) all.push_back(&panel_kernels_avx512());
  if (__builtin_cpu_supports("x86-64-v3")) all.push_back(&panel_kernels_avx2());
#endif
  all.push_back(&panel_kernels_baseline());
  return all;
}

const PanelKernels& panel_kernels() {
  static const PanelKernels& best = *available_panel_kernels().front();
  return best;
}

}  // namespace mformer::kernels::cpu
