#define MFORMER_KERNELS panel_kernels_baseline
#define MFORMER_NAME "any processor, bfloat16 as float32"
#define MFORMER_LANES 4
#define MFORMER_TILE_ROWS 4
#define MFORMER_TILE_VECTORS 2
#include "kernels/cpu/panel_product_impl.h"
