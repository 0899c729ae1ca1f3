// The implementation behind panel_product.h, included by one file per kind of processor, which defines MFORMER_KERNELS
// (its function), MFORMER_NAME and MFORMER_TILE_VECTORS, and is compiled for that processor. All has internal linkage,
// and nothing of the standard library is used: no function compiled here may stand in for another file's.

#include "kernels/cpu/panel_product.h"

#if MFORMER_LANES > 4
#include <immintrin.h>
#endif

namespace mformer::kernels::cpu {
namespace {

// One register of floats, of words, of what it takes from a row of int8. Passed by reference only: passing vectors by
// value depends on the processor.
constexpr int64_t kLanes = MFORMER_LANES;
using Vector [[gnu::vector_size(4 * kLanes)]] = float;
using Words [[gnu::vector_size(4 * kLanes)]] = uint32_t;

/// A tile of rows × vectors that leaves registers for b and a: its products hide each other's latency, and each vector
/// of b that is read serves all its rows.
constexpr int kTileRows = MFORMER_TILE_ROWS;
constexpr int kTileVectors = MFORMER_TILE_VECTORS;

#define MFORMER_INLINE [[gnu::always_inline]] static inline

template <typename To>
MFORMER_INLINE To read(const void* from) {
  To to;
  __builtin_memcpy(&to, from, sizeof to);
  return to;
}

// What one step of the inner sum reads and adds: an element of float32 and int8, a pair of bfloat16.

struct Float32 {
  using Left = float;
  using Right = float;
  using Loaded = Vector;
  static constexpr int64_t kPerStep = 1;
  MFORMER_INLINE float left(const float* a, bool /*whole*/) { return *a; }
  MFORMER_INLINE void right(const float* b, Vector& to) { __builtin_memcpy(&to, b, sizeof to); }
  MFORMER_INLINE void add(float a, const Vector& b, Vector& sum) { sum += a * b; }
  MFORMER_INLINE void prefetch(const float* /*b*/) {}
};

struct Int8 : Float32 {
  using Right = int8_t;
  MFORMER_INLINE void right(const int8_t* b, Vector& to) {
#if MFORMER_LANES == 16
    // GCC 12 takes the intrinsic apart into single bytes, eight times slower.
    __m512i words;
    __asm__("vpmovsxbd %1, %0" : "=v"(words) : "m"(*reinterpret_cast<const __m128i_u*>(b)));
    to = (Vector)_mm512_cvtepi32_ps(words);
#elif MFORMER_LANES == 8
    to = (Vector)_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(b))));
#else
    for (int64_t lane = 0; lane < kLanes; ++lane) to[lane] = static_cast<float>(b[lane]);
#endif
  }
  /// Widening takes so many instructions that the processor sees too few loads ahead: this asks for a row of the panel
  /// a page further on. 4 KiB was the best of 0, 4, 8 and 16.
  MFORMER_INLINE void prefetch(const int8_t* b) {
    __builtin_prefetch(b + 4096);
  }
};

struct Pairs {
  using Left = c10::BFloat16;
  using Right = c10::BFloat16;
  using Loaded = Words;
  static constexpr int64_t kPerStep = 2;
  /// The pair at `a`; its first element alone where the second lies beyond the row.
  MFORMER_INLINE uint32_t left(const c10::BFloat16* a, bool whole) {
    return whole ? read<uint32_t>(a) : read<uint16_t>(a);
  }
  MFORMER_INLINE void right(const c10::BFloat16* b, Words& to) { __builtin_memcpy(&to, b, sizeof to); }
  MFORMER_INLINE void prefetch(const c10::BFloat16* /*b*/) {}
  MFORMER_INLINE void add(uint32_t a, const Words& b, Vector& sum) {
#ifdef __AVX512BF16__
    const __m512i pair = _mm512_set1_epi32(static_cast<int>(a));
    sum = (Vector)_mm512_dpbf16_ps((__m512)sum, (__m512bh)pair, (__m512bh)b);
#else
    const uint32_t even = a << 16U, odd = a & 0xffff0000U;
    const Words b_even = b << 16U, b_odd = b & 0xffff0000U;
    sum += read<float>(&even) * (Vector)b_even;
    sum += read<float>(&odd) * (Vector)b_odd;
#endif
  }
};

template <typename Kind>
struct Factors {
  int64_t inner;
  const typename Kind::Left* a;
  int64_t a_row, a_step;
  const typename Kind::Right* b;
  int64_t b_step;
};

template <typename Kind, int Rows, int V>
MFORMER_INLINE void add_step(const Factors<Kind>& f, int64_t step, bool whole, Vector (&sum)[Rows][V]) {
  typename Kind::Loaded right[V];
#pragma GCC unroll 4
  for (int v = 0; v < V; ++v) Kind::right(f.b + step * f.b_step + v * kLanes * Kind::kPerStep, right[v]);
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r) {
    const auto left = Kind::left(f.a + r * f.a_row + step * f.a_step, whole);
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) Kind::add(left, right[v], sum[r][v]);
  }
}

template <typename Kind, int Rows, int V>
void tile(const Factors<Kind>& f, float* c, int64_t c_row, bool add) {
  Vector sum[Rows][V] = {};
  if (add) {
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) __builtin_memcpy(&sum[r][v], c + r * c_row + v * kLanes, sizeof(Vector));
    }
  }
  const int64_t whole_steps = f.inner / Kind::kPerStep;
  for (int64_t step = 0; step < whole_steps; ++step) {
    Kind::prefetch(f.b + step * f.b_step);
    add_step<Kind>(f, step, true, sum);
  }
  if (whole_steps * Kind::kPerStep < f.inner) add_step<Kind>(f, whole_steps, false, sum);
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) __builtin_memcpy(c + r * c_row + v * kLanes, &sum[r][v], sizeof(Vector));
  }
}

template <typename Kind, int V>
void all_rows(int64_t rows, Factors<Kind> f, const Target& c) {
  using TileFunction = void (*)(const Factors<Kind>&, float*, int64_t, bool);
  constexpr TileFunction kRest[] = {nullptr,           &tile<Kind, 1, V>, &tile<Kind, 2, V>,
                                    &tile<Kind, 3, V>, &tile<Kind, 4, V>, &tile<Kind, 5, V>};
  const typename Kind::Left* a = f.a;
  int64_t row = 0;
  for (; row + kTileRows <= rows; row += kTileRows) {
    f.a = a + row * f.a_row;
    tile<Kind, kTileRows, V>(f, c.data + row * c.row, c.row, c.add);
  }
  f.a = a + row * f.a_row;
  if (row < rows) kRest[rows - row](f, c.data + row * c.row, c.row, c.add);
}

/// Up to kTileVectors vectors of columns at a time.
template <typename Kind>
void product(int64_t rows, int64_t columns, Factors<Kind> f, Target c) {
  using Rows = void (*)(int64_t, Factors<Kind>, const Target&);
  constexpr Rows kByWidth[4] = {
      &all_rows<Kind, 1>,          &all_rows < Kind, kTileVectors >= 2 ? 2 : 1 >, &all_rows < Kind,
      kTileVectors >= 3 ? 3 : 1 >, &all_rows < Kind, kTileVectors >= 4 ? 4 : 1 > };
  for (int64_t vectors = columns / kLanes; vectors > 0;) {
    const int64_t width = vectors < kTileVectors ? vectors : kTileVectors;
    kByWidth[width - 1](rows, f, c);
    vectors -= width;
    f.b += width * kLanes * Kind::kPerStep;
    c.data += width * kLanes;
  }
}

void product_float32(int64_t rows, int64_t inner, int64_t columns, const LeftFactor<float>& a, const float* b,
                     int64_t b_row, const Target& c) {
  product<Float32>(rows, columns, {inner, a.data, a.row, a.step, b, b_row}, c);
}

void product_bfloat16(int64_t rows, int64_t inner, int64_t columns, const LeftFactor<c10::BFloat16>& a,
                      const c10::BFloat16* b, const Target& c) {
  product<Pairs>(rows, columns, {inner, a.data, a.row, a.step, b, 2 * kPanelColumns}, c);
}

void product_int8(int64_t rows, int64_t inner, int64_t columns, const LeftFactor<float>& a, const int8_t* b,
                  const Target& c) {
  product<Int8>(rows, columns, {inner, a.data, a.row, a.step, b, kPanelColumns}, c);
}

/// The bits of x rounded to the nearest bfloat16, ties to even, in the upper half; a NaN stays one.
MFORMER_INLINE uint32_t rounded(float x) {
  const uint32_t bits = read<uint32_t>(&x);
  const uint32_t nearest = bits + 0x7fffU + ((bits >> 16U) & 1U);
  return (x == x ? nearest : 0x7fc00000U) & 0xffff0000U;
}
MFORMER_INLINE uint32_t rounded(c10::BFloat16 x) {
  return static_cast<uint32_t>(x.x) << 16U;
}

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
    if (i + 1 < inner) {
      for (int64_t c = 0; c < columns; ++c) row[c] = rounded(even[c]) >> 16U | rounded(odd[c]);
    } else {
      for (int64_t c = 0; c < columns; ++c) row[c] = rounded(even[c]) >> 16U;
    }
    for (int64_t c = columns; c < kPanelColumns; ++c) row[c] = 0;
  }
}

constexpr int64_t kBlock = 16;
using BlockRow [[gnu::vector_size(4 * kBlock)]] = uint32_t;

/// Transposes 16 × 16 words.
MFORMER_INLINE void transpose(BlockRow (&rows)[kBlock]) {
  constexpr int64_t kHalf = kBlock / 2;
  BlockRow next[kBlock];
  // Interleaving row r with row r + 8 moves one bit of an element's column into its row: four rounds swap them.
  for (int round = 0; round < 4; ++round) {
#pragma GCC unroll 8
    for (int64_t r = 0; r < kHalf; ++r) {
      next[2 * r] =
          __builtin_shuffle(rows[r], rows[r + kHalf], BlockRow{0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23});
      next[2 * r + 1] = __builtin_shuffle(rows[r], rows[r + kHalf],
                                          BlockRow{8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31});
    }
#pragma GCC unroll 16
    for (int64_t r = 0; r < kBlock; ++r) rows[r] = next[r];
  }
}

/// Reads the 16 words of a step block from each of 16 columns. `Source` reads words from its matrix.
template <typename Source>
void transpose_words(int64_t steps, int64_t columns, const Source& source, uint32_t* panel) {
  for (int64_t c = 0; c < kPanelColumns; c += kBlock) {
    for (int64_t i = 0; i < steps; i += kBlock) {
      BlockRow rows[kBlock] = {};
      const bool whole = i + kBlock <= source.whole_steps;
      for (int64_t r = 0; r < kBlock && c + r < columns; ++r) {
        if (whole) {
          source.block(c + r, i, rows[r]);
        } else {
          for (int64_t s = 0; s < kBlock && i + s < steps; ++s) rows[r][s] = source.word(c + r, i + s);
        }
      }
      transpose(rows);
      for (int64_t s = 0; s < kBlock && i + s < steps; ++s) {
        __builtin_memcpy(panel + (i + s) * kPanelColumns + c, &rows[s], sizeof(BlockRow));
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

/// Words that are pairs of bfloat16, rounded from `From`.
template <typename From>
struct PairWords {
  const From* from;
  int64_t stride, inner, whole_steps;
  [[gnu::always_inline]] inline void block(int64_t column, int64_t pair, BlockRow& to) const {
    const From* x = from + column * stride + 2 * pair;
    for (int64_t p = 0; p < kBlock; ++p) to[p] = rounded(x[2 * p]) >> 16U | rounded(x[2 * p + 1]);
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
    for (int64_t c = 0; c < columns; ++c) row[c] = static_cast<uint16_t>(rounded(from[r * kPanelColumns + c]) >> 16U);
  }
}

}  // namespace

const PanelKernels& MFORMER_KERNELS() {
  static constexpr PanelKernels kKernels{MFORMER_NAME,
                                         product_float32,
                                         product_bfloat16,
                                         product_int8,
                                         pack_float32,
                                         pack_pairs<float>,
                                         pack_pairs<c10::BFloat16>,
                                         pack_transposed_float32,
                                         pack_transposed_pairs<float>,
                                         pack_transposed_pairs<c10::BFloat16>,
                                         widen_float32,
                                         widen_pairs,
                                         round_rows};
  return kKernels;
}

}  // namespace mformer::kernels::cpu
