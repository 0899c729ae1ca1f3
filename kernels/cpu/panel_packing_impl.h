// How panels are made, behind panel_product.h: included by files that are each compiled for one kind of processor. All
// has internal linkage, and nothing of the standard library is used: no function compiled here may stand in for another
// file's.

#include "kernels/cpu/panel_words_impl.h"

namespace mformer::kernels::cpu {
namespace {

void pack_float32(int64_t inner, int64_t columns, const float* from, int64_t stride, float* panel) {
  for (int64_t i = 0; i < inner; ++i) {
    float* row = panel + i * kPanelColumns;
    for (int64_t c = 0; c < columns; ++c) row[c] = from[i * stride + c];
    for (int64_t c = columns; c < kPanelColumns; ++c) row[c] = 0.0F;
  }
}

template <typename From>
void pack_pairs(int64_t inner, int64_t columns, const From* from, int64_t stride, c10::BFloat16* panel) {
  auto* words = reinterpret_cast<uint32_t*>(panel);
  for (int64_t i = 0; i < inner; i += 2) {
    const From *even = from + i * stride, *odd = even + stride;
    uint32_t* row = words + i / 2 * kPanelColumns;
    int64_t c = 0;
    if (i + 1 < inner) {
      for (; c + kBlock <= columns; c += kBlock) {
        BlockRow pairs;
        join_rows(even + c, odd + c, pairs);
        __builtin_memcpy(row + c, &pairs, sizeof pairs);
      }
      for (; c < columns; ++c) row[c] = rounded(even[c]) >> 16U | rounded(odd[c]);
    } else {
      for (; c < columns; ++c) row[c] = rounded(even[c]) >> 16U;
    }
    for (; c < kPanelColumns; ++c) row[c] = 0;
  }
}

/// One block, from `columns` columns and `steps` steps.
template <typename Source>
MFORMER_INLINE void transpose_block(int64_t c, int64_t columns, int64_t i, int64_t steps, const Source& source,
                                    uint32_t* panel) {
  BlockRow rows[kBlock];
  if (columns >= kBlock && i + kBlock <= source.whole_steps) {
#pragma GCC unroll 16
    for (int64_t r = 0; r < kBlock; ++r) source.block(c + r, i, rows[r]);
  } else {
    for (int64_t r = 0; r < kBlock; ++r) {
      rows[r] = BlockRow{};
      for (int64_t s = 0; r < columns && s < kBlock && s < steps; ++s) rows[r][s] = source.word(c + r, i + s);
    }
  }
  transpose(rows);
  if (steps >= kBlock) {
#pragma GCC unroll 16
    for (int64_t s = 0; s < kBlock; ++s) __builtin_memcpy(panel + s * kPanelColumns, &rows[s], sizeof(BlockRow));
  } else {
    for (int64_t s = 0; s < steps; ++s) __builtin_memcpy(panel + s * kPanelColumns, &rows[s], sizeof(BlockRow));
  }
}

/// Reads the words of all steps from each column. `Source` reads words from its matrix.
template <typename Source>
void transpose_words(int64_t steps, int64_t columns, const Source& source, uint32_t* panel) {
  // A cache line's columns of the panel at a time, which its steps are written to in turn.
  constexpr int64_t kLine = 16;
  for (int64_t line = 0; line < kPanelColumns; line += kLine) {
    for (int64_t i = 0; i < steps; i += kBlock) {
      for (int64_t c = line; c < line + kLine; c += kBlock) {
        transpose_block(c, columns - c, i, steps - i, source, panel + i * kPanelColumns + c);
      }
    }
  }
}

/// Words that are float32 elements.
struct FloatWords {
  const float* from;
  int64_t stride, whole_steps;
  [[gnu::always_inline]] inline void block(int64_t column, int64_t i, BlockRow& to) const {
    __builtin_memcpy(&to, from + column * stride + i, sizeof to);
  }
  [[gnu::always_inline]] inline uint32_t word(int64_t column, int64_t i) const {
    return read<uint32_t>(from + column * stride + i);
  }
};

/// The neighbours from `x` on as words of two.
MFORMER_INLINE void read_pairs(const c10::BFloat16* x, BlockRow& to) {
  __builtin_memcpy(&to, x, sizeof to);
}
#ifdef __AVX512BF16__
MFORMER_INLINE void read_pairs(const float* x, BlockRow& to) {
  to = (BlockRow)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(x + kBlock), _mm512_loadu_ps(x));
}
#else
MFORMER_INLINE void read_pairs(const float* x, BlockRow& to) {
  BlockRow first, second;
  __builtin_memcpy(&first, x, sizeof first);
  __builtin_memcpy(&second, x + kBlock, sizeof second);
#if MFORMER_LANES == 16
  BlockRow even = __builtin_shuffle(first, second, BlockRow{0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30});
  BlockRow odd = __builtin_shuffle(first, second, BlockRow{1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31});
#elif MFORMER_LANES == 8
  BlockRow even = __builtin_shuffle(first, second, BlockRow{0, 2, 4, 6, 8, 10, 12, 14});
  BlockRow odd = __builtin_shuffle(first, second, BlockRow{1, 3, 5, 7, 9, 11, 13, 15});
#else
  BlockRow even = __builtin_shuffle(first, second, BlockRow{0, 2, 4, 6});
  BlockRow odd = __builtin_shuffle(first, second, BlockRow{1, 3, 5, 7});
#endif
  round_words(even);
  round_words(odd);
  to = (even >> 16U) | odd;
}
#endif

/// Words that are pairs of bfloat16, rounded from `From`.
template <typename From>
struct PairWords {
  const From* from;
  int64_t stride, inner, whole_steps;
  [[gnu::always_inline]] inline void block(int64_t column, int64_t pair, BlockRow& to) const {
    read_pairs(from + column * stride + 2 * pair, to);
  }
  [[gnu::always_inline]] inline uint32_t word(int64_t column, int64_t pair) const {
    const From* x = from + column * stride + 2 * pair;
    return rounded(x[0]) >> 16U | (2 * pair + 1 < inner ? rounded(x[1]) : 0U);
  }
};

void pack_transposed_float32(int64_t inner, int64_t columns, const float* from, int64_t stride, float* panel) {
  transpose_words(inner, columns, FloatWords{from, stride, inner}, reinterpret_cast<uint32_t*>(panel));
}

template <typename From>
void pack_transposed_pairs(int64_t inner, int64_t columns, const From* from, int64_t stride, c10::BFloat16* panel) {
  transpose_words((inner + 1) / 2, columns, PairWords<From>{from, stride, inner, inner / 2},
                  reinterpret_cast<uint32_t*>(panel));
}

void widen_float32(int64_t inner, const int8_t* from, float* panel) {
  for (int64_t i = 0; i < inner * kPanelColumns; ++i) panel[i] = static_cast<float>(from[i]);
}

void widen_pairs(int64_t inner, const int8_t* from, c10::BFloat16* panel) {
  auto* words = reinterpret_cast<uint32_t*>(panel);
  for (int64_t i = 0; i < inner; i += 2) {
    const int8_t *even = from + i * kPanelColumns, *odd = even + kPanelColumns;
    const uint32_t keep = i + 1 < inner ? 0xffff0000U : 0U;
    for (int64_t c = 0; c < kPanelColumns; ++c) {
      const float low = even[c], high = keep != 0 ? odd[c] : 0.0F;
      words[i / 2 * kPanelColumns + c] = read<uint32_t>(&low) >> 16U | (read<uint32_t>(&high) & keep);
    }
  }
}

void round_rows(int64_t rows, int64_t columns, const float* from, c10::BFloat16* to, int64_t to_row) {
  for (int64_t r = 0; r < rows; ++r) {
    auto* row = reinterpret_cast<uint16_t*>(to + r * to_row);
    int64_t c = 0;
    for (; c + kBlock <= columns; c += kBlock) round_block(from + r * kPanelColumns + c, row + c);
    for (; c < columns; ++c) row[c] = static_cast<uint16_t>(rounded(from[r * kPanelColumns + c]) >> 16U);
  }
}

}  // namespace
}  // namespace mformer::kernels::cpu
