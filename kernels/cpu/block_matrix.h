#pragma once

#include <c10/core/ScalarType.h>

#include <cstdint>
#include <deque>
#include <vector>

#include "kernels/cpu/block_product.h"

namespace mformer::kernels::cpu {

/// A matrix [inner, columns] of 8 or 4 bits, in panels of quantised groups (block_product.h).
struct BlockMatrix {
  const uint8_t* panels;
  int bits;
  int64_t inner, columns;
};

/// The rows of one call's products as their products take them; each is quantised once, however many weights it meets.
class BlockRows {
 public:
  /// x [rows, inner], contiguous, float32 or bfloat16. Where there are many rows in bfloat16 and tiles for them
  /// (PanelKernels::tiles), the product widens the weights to bfloat16, panel by panel: then no row becomes codes, and
  /// `groups` is 0. What is returned lives as long as this.
  QuantisedRows get(at::ScalarType dtype, const void* x, int64_t rows, int64_t inner);

 private:
  struct Made {
    const void* x;
    int64_t rows, inner;
    QuantisedRows codes;
  };
  std::vector<Made> made_;
  std::deque<std::vector<int8_t>> bytes_;
  std::deque<std::vector<float>> numbers_;
};

/// Rows `first` … `first + rows` − 1 of x times the panel that begins at `column`, into `to` [rows, 64]. `codes` are
/// what BlockRows made of all of x.
void multiply_blocks(const void* x, const QuantisedRows& codes, const BlockMatrix& w, int64_t first, int64_t rows,
                     int64_t column, Target to);

}  // namespace mformer::kernels::cpu
