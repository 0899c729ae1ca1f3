#define MFORMER_KERNELS block_kernels_baseline
#define MFORMER_NAME "baseline"
#define MFORMER_LANES 4
#include "kernels/cpu/block_product_impl.h"
