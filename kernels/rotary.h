#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace mformer::kernels {

/// Cosine and sine of each position's angles.
struct RotaryTable {
  at::Tensor cos, sin;  ///< [positions, size / 2], float32
};

/// Angle i of position p is p · inverse_frequencies[i], in float32; its cosine and sine are multiplied by
/// `attention_factor` (1 but for some scalings of long contexts). inverse_frequencies: at least one, finite;
/// positions ≥ 1. On the CPU. Throws c10::Error naming the argument.
RotaryTable rotary_table(const std::vector<double>& inverse_frequencies, double attention_factor,
                         std::int64_t positions);

/// Rotary positions (Su et al., arXiv 2104.09864) in the form that pairs dimension i with i + size / 2, not
/// with its neighbour: y = x · cos + r(x) · sin, r(x) = [−x[size / 2:], x[:size / 2]], where token t stands at position
/// first_position + t.
///
/// x               [batch, tokens, …, size], size even: queries [batch, tokens, k, heads, size] or keys [batch, tokens,
///                 heads, size]. float32, float64, bfloat16 or float16, any strides.
/// table           on x's device, of size / 2 angles and at least first_position + tokens positions.
/// first_position  ≥ 0: with a key/value cache, the number of tokens in it.
///
/// Returns x's sizes in x's dtype, contiguous; computed in float32 (float64 for float64), rounded once. Differentiable
/// in x. Throws c10::Error naming the argument on any mismatch.
at::Tensor rotate(const at::Tensor& x, const RotaryTable& table, std::int64_t first_position);

/// The same in place, of the first `heads` heads of every row: x [batch, tokens, rows, width], contiguous float32 or
/// bfloat16 on the CPU, width at least heads · size; the table's first position is that of the first token. No
/// gradients.
void rotate_in_place(at::Tensor& x, const RotaryTable& table, std::int64_t heads);

}  // namespace mformer::kernels
