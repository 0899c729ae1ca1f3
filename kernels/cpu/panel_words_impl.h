// What the files behind panel_product.h, each compiled for one kind of processor, move words with: MFORMER_LANES is how
// many a register has. All has internal linkage, and nothing of the standard library is used: no function compiled here
// may stand in for another file's.

#include "kernels/cpu/inline_impl.h"
#include "kernels/cpu/panel_product.h"

#ifdef __AVX512BF16__
#include <immintrin.h>
#endif

namespace mformer::kernels::cpu {
namespace {

/// The bits of x rounded to the nearest bfloat16, ties to even, in the upper half; a NaN stays one.
MFORMER_INLINE uint32_t rounded(float x) {
  const uint32_t bits = read<uint32_t>(&x);
  const uint32_t nearest = bits + 0x7fffU + ((bits >> 16U) & 1U);
  return (x == x ? nearest : 0x7fc00000U) & 0xffff0000U;
}
MFORMER_INLINE uint32_t rounded(c10::BFloat16 x) {
  return static_cast<uint32_t>(x.x) << 16U;
}

/// Transposed in one go: as many words as a register has lanes.
constexpr int64_t kBlock = MFORMER_LANES;
using BlockRow [[gnu::vector_size(4 * kBlock)]] = uint32_t;

/// As rounded(), in all lanes.
MFORMER_INLINE void round_words(BlockRow& bits) {
  const BlockRow nearest = bits + 0x7fffU + ((bits >> 16U) & 1U);
  const BlockRow is_nan = (BlockRow)((bits & 0x7fffffffU) > 0x7f800000U);
  bits = ((nearest & ~is_nan) | (is_nan & 0x7fc00000U)) & 0xffff0000U;
}

// Two rows as words of two, and a block of one row. With instructions for it two to three times as fast; numbers below
// 1.2e-38 are zero then.
#ifdef __AVX512BF16__
MFORMER_INLINE void join_rows(const float* even, const float* odd, BlockRow& to) {
  const __m512i halves = (__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(odd), _mm512_loadu_ps(even));
  const BlockRow places = {0x100000, 0x110001, 0x120002, 0x130003, 0x140004, 0x150005, 0x160006, 0x170007,
                           0x180008, 0x190009, 0x1a000a, 0x1b000b, 0x1c000c, 0x1d000d, 0x1e000e, 0x1f000f};
  to = (BlockRow)_mm512_permutexvar_epi16((__m512i)places, halves);
}
MFORMER_INLINE void round_block(const float* from, uint16_t* to) {
  const __m256bh halves = _mm512_cvtneps_pbh(_mm512_loadu_ps(from));
  __builtin_memcpy(to, &halves, sizeof halves);
}
#else
MFORMER_INLINE void join_rows(const float* even, const float* odd, BlockRow& to) {
  BlockRow upper;
  __builtin_memcpy(&to, even, sizeof to);
  __builtin_memcpy(&upper, odd, sizeof upper);
  round_words(to);
  round_words(upper);
  to = to >> 16U | upper;
}
MFORMER_INLINE void round_block(const float* from, uint16_t* to) {
  for (int64_t i = 0; i < kBlock; ++i) to[i] = static_cast<uint16_t>(rounded(from[i]) >> 16U);
}
#endif
MFORMER_INLINE void join_rows(const c10::BFloat16* even, const c10::BFloat16* odd, BlockRow& to) {
  for (int64_t i = 0; i < kBlock; ++i) to[i] = rounded(even[i]) >> 16U | rounded(odd[i]);
}

/// Interleaves the lower halves of two rows, and the upper ones.
MFORMER_INLINE void interleave(const BlockRow& a, const BlockRow& b, BlockRow& lower, BlockRow& upper) {
#if MFORMER_LANES == 16
  lower = __builtin_shuffle(a, b, BlockRow{0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23});
  upper = __builtin_shuffle(a, b, BlockRow{8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31});
#elif MFORMER_LANES == 8
  lower = __builtin_shuffle(a, b, BlockRow{0, 8, 1, 9, 2, 10, 3, 11});
  upper = __builtin_shuffle(a, b, BlockRow{4, 12, 5, 13, 6, 14, 7, 15});
#else
  lower = __builtin_shuffle(a, b, BlockRow{0, 4, 1, 5});
  upper = __builtin_shuffle(a, b, BlockRow{2, 6, 3, 7});
#endif
}

/// Transposes a block of words.
MFORMER_INLINE void transpose(BlockRow (&rows)[kBlock]) {
  constexpr int64_t kHalf = kBlock / 2;
  BlockRow next[kBlock];
  // Interleaving row r with the one half a block below moves one bit of an element's column into its row: as many
  // rounds as a place has bits swap them.
#pragma GCC unroll 4
  for (int64_t bits = 1; bits < kBlock; bits *= 2) {
#pragma GCC unroll 8
    for (int64_t r = 0; r < kHalf; ++r) interleave(rows[r], rows[r + kHalf], next[2 * r], next[2 * r + 1]);
#pragma GCC unroll 16
    for (int64_t r = 0; r < kBlock; ++r) rows[r] = next[r];
  }
}

}  // namespace
}  // namespace mformer::kernels::cpu
