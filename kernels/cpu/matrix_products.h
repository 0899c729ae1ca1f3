#pragma once

#include <c10/core/ScalarType.h>

#include <cstdint>
#include <vector>

#include "kernels/cpu/block_product.h"

namespace mformer::kernels::cpu {

/// The right factor of a product: a matrix [inner, columns].
struct RightMatrix {
  enum class Order {
    rows,        ///< Row-major.
    transposed,  ///< Row-major [columns, inner].
    panels,      ///< Panel after panel of 64 columns, as panel_product.h takes them.
  };
  const void* data;
  at::ScalarType dtype;  ///< float32 or bfloat16; in panels also int8.
  int64_t inner, columns;
  Order order = Order::rows;
  const float* scale = nullptr;  ///< [columns] what a column of int8 is multiplied by.
  int bits = 0;                  ///< 8 or 4: panels of quantised groups (block_product.h), whose dtype is uint8.
};

/// What else is added to a product: x [rows, inner] · w, contiguous.
struct Term {
  const void* x;
  RightMatrix w;
  QuantisedRows codes{};  ///< Of x, where w is quantised: products() makes them.
};

/// y [rows, columns] = x [rows, inner] · w + terms, in order, + bias; x and y contiguous, of one dtype, float32 or
/// bfloat16. Sums are rounded once.
struct Product {
  const void* x;
  int64_t rows;
  RightMatrix w;
  void* y;
  const float* bias = nullptr;  ///< [columns]
  bool float32 = false;         ///< y is float32 whatever x is: the sums as they are.
  std::vector<Term> more{};     ///< Terms beside the first; all w have the same number of columns.
  QuantisedRows codes{};        ///< Of x, where w is quantised: products() makes them.
};

/// All products, in one parallel region. `dtype`: that of x; w's values are rounded to it where they are finer, and
/// sums are float32.
void products(at::ScalarType dtype, const std::vector<Product>& list);

/// The columns of a product of one row from `column`, a multiple of 64, to the end of their panel, in the calling
/// thread: the bits that products() gives them. p has no further terms, and the codes of x where w is quantised.
void product_panel(at::ScalarType dtype, const Product& p, int64_t column);

/// dw [in, out] = xᵀ · dy for x [rows, in] and dy [rows, out], all contiguous: the gradient of y = x · w.
struct OuterProduct {
  const void* x;
  const void* dy;
  int64_t rows, in, out;
  float* dw;
  bool add = false;  ///< To what dw holds, or overwrite it.
};

/// All of them, in one parallel region; `dtype` that of x and dy.
void outer_products(at::ScalarType dtype, const std::vector<OuterProduct>& list);

/// Bytes of a [inner, columns] matrix in panels of this dtype.
int64_t panels_bytes(int64_t inner, int64_t columns, at::ScalarType dtype);

/// Writes the panels of `w` (float32 or bfloat16, not in panels) to `to`, as `dtype`, float32 or bfloat16.
void write_panels(const RightMatrix& w, at::ScalarType dtype, void* to);

}  // namespace mformer::kernels::cpu
