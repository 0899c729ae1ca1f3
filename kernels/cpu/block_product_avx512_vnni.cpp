#define MFORMER_KERNELS block_kernels_avx512_vnni
#define MFORMER_NAME "AVX-512 VNNI"
#define MFORMER_LANES 16
#include "kernels/cpu/block_product_impl.h"
