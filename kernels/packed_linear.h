#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <utility>
#include <vector>

namespace mformer::kernels {

/// A [in, out] matrix made ready for inference: in the order in which products read it, panel after panel of 64
/// columns, so that each product reads it once and in sequence.
struct PackedWeight {
  int64_t in = 0, out = 0;
  at::ScalarType dtype = at::kFloat;  ///< Of the panels: float32, bfloat16, int8, or uint8 where `bits` is not 0.
  at::Tensor panels;                  ///< Bytes; undefined = no weight.
  at::Tensor scale;                   ///< [out] float32, what a column of int8 is multiplied by; undefined otherwise.
  int bits = 0;                       ///< 8 or 4: quantised in groups (kernels/quantised_blocks.h).

  bool defined() const { return panels.defined(); }
  int64_t bytes() const;
};

/// Packs `weight` [in, out], of any floating dtype, rounded to `dtype`: float32 or bfloat16.
PackedWeight pack_weight(const at::Tensor& weight, at::ScalarType dtype);
/// The same from the layout of dense layers, [out, in].
PackedWeight pack_transposed(const at::Tensor& weight, at::ScalarType dtype);
/// Packs the codes [in, out], int8, with their scale [out], float32.
PackedWeight pack_int8(const at::Tensor& codes, const at::Tensor& scale);
/// Packs blocks [out, groups, bytes] of a matrix with `in` inputs; c10::Error if they are not of such a one.
PackedWeight pack_blocks(const at::Tensor& blocks, int64_t in);
/// The same of a matrix in pieces of one shape: outputs of one after those of the other, or, `below`, inputs, of which
/// each piece then has whole groups.
PackedWeight pack_blocks(const std::vector<at::Tensor>& pieces, int64_t in, bool below);

/// Symmetric quantisation by output channel of weight [in, out], of any floating dtype: codes [in, out], int8 in
/// −127 … 127, and scale [out], float32, with weight ≈ codes · scale and an error of at most scale / 2. The scale is
/// the column's largest magnitude / 127, or 1 where that is zero. Throws c10::Error where a weight is not finite.
std::pair<at::Tensor, at::Tensor> quantize_int8(const at::Tensor& weight);

// Products without gradients: callers hold an at::NoGradGuard, and x requires no gradient. x is contiguous, on the CPU,
// and has the weights' dtype; beside int8 and blocks it is float32 or bfloat16. Sums are float32, in a fixed order, and
// a row's result does not depend on the other rows (beside int8 and bfloat16 together but for rounding: a few rows are
// summed otherwise than many). Beside blocks a row is quantised, too, to int8 with a scale for each of its groups of 32
// (an element is off by its group's largest magnitude / 254 at most); where the processor has tiles for bfloat16 and
// rows are many, blocks are widened to bfloat16 instead. c10::Error names the argument that does not fit.

/// x [..., in] · w + bias. `bias` [out], float32, or undefined. Returns [..., out], in float32 if `float32` (the sums
/// as they are), in x's dtype otherwise.
at::Tensor packed_linear(const at::Tensor& x, const PackedWeight& w, const at::Tensor& bias = {}, bool float32 = false);

/// As grouped_linear: x [rows, in] sorted by module, module m owns rows offset[m] … offset[m + 1] − 1; or, where each
/// owns as many rows as x has, the rows that all modules read. All weights have the same sizes, each a dtype of its
/// own. Returns [rows, out] in x's dtype.
at::Tensor packed_grouped_linear(const at::Tensor& x, const std::vector<int64_t>& offset,
                                 const std::vector<PackedWeight>& weights);

/// As grouped_linear_sum: x [rows, in], of which each module owns as many. Returns [rows / modules, out], in float32 if
/// `float32` (the sums as they are), in x's dtype otherwise.
at::Tensor packed_grouped_linear_sum(const at::Tensor& x, const std::vector<int64_t>& offset,
                                     const std::vector<PackedWeight>& weights, bool float32 = false);

}  // namespace mformer::kernels
