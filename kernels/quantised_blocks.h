#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace mformer::kernels {

// Matrices in 8 or 4 bits a weight. Each row, the weights of one output, is cut into groups of 32 inputs, and each
// group is a block of bytes of its own: a scale d, in four bits also a minimum m, both float16, and the codes. The
// layouts are those of Q8_0 and Q4_1 in GGUF files, so that blocks pass between the two as they are.
//
//   8 bits, 34 bytes:  d, 32 × int8 code, −127 … 127;             weight = d · code (−128 counts as −127)
//   4 bits, 20 bytes:  d, m, 16 bytes of two codes of 0 … 15:      weight = d · code + m
//                      byte j holds input j in its low half and input j + 16 in its high half
//
// A matrix of `rows` rows is a uint8 tensor [rows, groups, bytes]; what the last group has beyond the row is zero.

inline constexpr int64_t kGroupSize = 32;

/// Groups of a row of `inputs`.
inline int64_t groups_of(int64_t inputs) {
  return (inputs + kGroupSize - 1) / kGroupSize;
}

/// Bytes of a block: 34 or 20. c10::Error for bits other than 8 and 4.
int64_t block_bytes(int bits);

/// Whether the tensor holds blocks.
bool is_blocks(const at::Tensor& x);

/// 8 or 4, by the size of its blocks. c10::Error if `blocks` holds none.
int bits_of(const at::Tensor& blocks);

/// Weights beyond this magnitude have no block: a float16 holds neither their scale nor their minimum.
inline constexpr double kMostInBlocks = 65000;

/// Quantises weight [rows, inputs], of any floating dtype, not empty. In 8 bits d = the group's largest magnitude /
/// 127, rounded up to a float16, and a weight is off by half of d at most. In 4 bits d and m are searched for that make
/// the sum of the squared errors least, beginning at (most − least) / 15 and least; a weight is off by one such step at
/// most (and by what float16 rounds m by, |m| / 2048). c10::Error where a weight is not finite or beyond kMostInBlocks.
at::Tensor quantize_blocks(const at::Tensor& weight, int bits);

/// The values, [rows, inputs], rounded to `dtype` once, on the blocks' device. They are made on the CPU.
at::Tensor dequantize_blocks(const at::Tensor& blocks, int64_t inputs, at::ScalarType dtype);

/// `weight` itself, or, where it holds blocks, their values as dequantize_blocks() gives them.
at::Tensor as_numbers(const at::Tensor& weight, int64_t inputs, at::ScalarType dtype);

/// Whether all scales and minima are finite.
bool are_sound(const at::Tensor& blocks);

}  // namespace mformer::kernels
