#define MFORMER_KERNELS panel_kernels_avx512
#define MFORMER_NAME "AVX-512, bfloat16 as float32"
#define MFORMER_LANES 16
#define MFORMER_TILE_ROWS 6
#define MFORMER_TILE_VECTORS 4
#include "kernels/cpu/panel_product_impl.h"
