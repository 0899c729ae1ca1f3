#pragma once

#include "kernels/cpu/matrix_products.h"
#include "kernels/packed_linear.h"

namespace mformer::kernels {

/// A packed weight as products take it; it must be defined.
cpu::RightMatrix right_matrix(const PackedWeight& w);

}  // namespace mformer::kernels
