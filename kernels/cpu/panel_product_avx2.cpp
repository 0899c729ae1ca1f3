#define MFORMER_KERNELS panel_kernels_avx2
#define MFORMER_NAME "AVX2, bfloat16 as float32"
#define MFORMER_LANES 8
#define MFORMER_TILE_ROWS 6
#define MFORMER_TILE_VECTORS 2
#include "kernels/cpu/panel_product_impl.h"
