#define MFORMER_KERNELS block_kernels_avx2
#define MFORMER_NAME "AVX2"
#define MFORMER_LANES 8
#include "kernels/cpu/block_product_impl.h"
