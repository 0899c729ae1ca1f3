#pragma once

#include "kernels/cuda/block.h"

// What the 32 lanes of a warp do together, as the PTX ISA documents it. Both executors have them, host_block.h as loops
// over the documented places of each lane's numbers, so that a wrong index shows there as it would on a GPU:
//
// warp.load_matrices<transposed>(from, to): four matrices of 8 × 8 bfloat16 out of shared memory (ldmatrix.x4).
//   from(thread) is where a row of 8 begins, at 16 bytes: lane 8 i + r says it of row r of matrix i. Word i of
//   to(thread) then holds elements 2 (l % 4) and + 1 of row l / 4 of matrix i, or of its transpose, l being the lane.
// warp.multiply_add(sums, a, b): D [16 × 8] += A [16 × 16] · B [16 × 8], float32 += bfloat16 · bfloat16 (mma.m16n8k16).
//   With g = l / 4 and t = 2 (l % 4): a(thread) are four words, of A's elements (g, t), (g + 8, t), (g, t + 8), (g + 8,
//   t + 8) and their right neighbours; b(thread) two, of B's (t, g), (t + 8, g) and their lower neighbours;
//   sums(thread) four numbers, D's (g, t), (g, t + 1), (g + 8, t), (g + 8, t + 1).

namespace mformer::kernels::cuda {

inline constexpr int kLanes = 32;

/// What a lane holds of four matrices: pairs of bfloat16, the first of each in the lower half.
struct Words {
  uint32_t x[4];
};

}  // namespace mformer::kernels::cuda
