#define MFORMER_KERNELS panel_kernels_baseline
#define MFORMER_NAME "baseline"
#define MFORMER_LANES 4
#define MFORMER_TILE_ROWS 4
#define MFORMER_TILE_VECTORS 2
#include "kernels/cpu/panel_product_impl.h"
