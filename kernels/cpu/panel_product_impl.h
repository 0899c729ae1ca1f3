// The implementation behind panel_product.h, included by one file per kind of processor, which defines MFORMER_KERNELS
// (its function), MFORMER_NAME and MFORMER_TILE_VECTORS, and is compiled for that processor. All has internal linkage,
// and nothing of the standard library is used: no function compiled here may stand in for another file's.

#include "kernels/cpu/panel_packing_impl.h"

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

#ifdef __AVX512BF16__
void product_bfloat16(int64_t rows, int64_t inner, int64_t columns, const LeftFactor<c10::BFloat16>& a,
                      const c10::BFloat16* b, const Target& c) {
  product<Pairs>(rows, columns, {inner, a.data, a.row, a.step, b, 2 * kPanelColumns}, c);
}
#else
// Without a product of bfloat16 a pair costs more to take apart than to multiply: both factors are widened, which is
// exact, each once for many products. Sums have the same order either way, and so the same bits.

/// Rows that pay for it.
constexpr int64_t kRowsToWiden = 2 * kTileRows;
/// Widened at a time: of the inner sum (64 KB of a panel), and rows.
constexpr int64_t kWidenedInner = 256, kWidenedRows = 4 * kTileRows;

struct Widened {
  alignas(64) float panel[kWidenedInner * kPanelColumns];
  alignas(64) float left[kWidenedInner * kPanelColumns];
};

MFORMER_INLINE float widened(c10::BFloat16 x) {
  const uint32_t bits = static_cast<uint32_t>(x.x) << 16U;
  return read<float>(&bits);
}

/// to(i, c) = element i of column c < columns, from words of two that lie `stride` elements apart.
void widen_words(int64_t inner, int64_t columns, const c10::BFloat16* from, int64_t stride, float* to) {
  for (int64_t i = 0; i < inner; i += 2) {
    const c10::BFloat16* words = from + i / 2 * stride;
    float *even = to + i * kPanelColumns, *odd = even + kPanelColumns;
    for (int64_t c = 0; c < columns; ++c) even[c] = widened(words[2 * c]);
    if (i + 1 == inner) return;
    for (int64_t c = 0; c < columns; ++c) odd[c] = widened(words[2 * c + 1]);
  }
}

/// A part of the inner sum whose right factor is widened already.
void widened_product(int64_t rows, int64_t inner, int64_t columns, const LeftFactor<c10::BFloat16>& a, Widened& room,
                     const Target& c) {
  const bool by_rows = a.step == 2;
  const int64_t rows_at_once = by_rows ? kWidenedRows : kPanelColumns;
  for (int64_t row = 0; row < rows; row += rows_at_once) {
    const int64_t some = rows - row < rows_at_once ? rows - row : rows_at_once;
    const c10::BFloat16* from = a.data + row * a.row;
    if (by_rows) {
      for (int64_t r = 0; r < some; ++r) {
        for (int64_t i = 0; i < inner; ++i) room.left[r * kWidenedInner + i] = widened(from[r * a.row + i]);
      }
    } else {
      widen_words(inner, some, from, a.step, room.left);
    }
    product<Float32>(
        some, columns,
        {inner, room.left, by_rows ? kWidenedInner : 1, by_rows ? 1 : kPanelColumns, room.panel, kPanelColumns},
        {c.data + row * c.row, c.row, c.add});
  }
}

void product_bfloat16(int64_t rows, int64_t inner, int64_t columns, const LeftFactor<c10::BFloat16>& a,
                      const c10::BFloat16* b, const Target& c) {
  if (rows < kRowsToWiden || (a.step != 2 && a.row != 2)) {
    return product<Pairs>(rows, columns, {inner, a.data, a.row, a.step, b, 2 * kPanelColumns}, c);
  }
  Widened room;
  for (int64_t first = 0; first < inner; first += kWidenedInner) {
    const int64_t part = inner - first < kWidenedInner ? inner - first : kWidenedInner;
    widen_words(part, kPanelColumns, b + first * kPanelColumns, 2 * kPanelColumns, room.panel);
    widened_product(rows, part, columns, {a.data + first / 2 * a.step, a.row, a.step}, room,
                    {c.data, c.row, c.add || first > 0});
  }
}
#endif

void product_int8(int64_t rows, int64_t inner, int64_t columns, const LeftFactor<float>& a, const int8_t* b,
                  const Target& c) {
  product<Int8>(rows, columns, {inner, a.data, a.row, a.step, b, kPanelColumns}, c);
}

/// Pairs of neighbours in the inner sum lie beside each other in a panel, too.
template <typename From>
LeftFactor<c10::BFloat16> transposed_left(int64_t inner, int64_t rows, const From* from, int64_t stride,
                                          c10::BFloat16* room) {
  pack_pairs(inner, rows, from, stride, room);
  return {room, 2, 2 * kPanelColumns};
}

}  // namespace

const PanelKernels& MFORMER_KERNELS() {
  static constexpr PanelKernels kKernels{MFORMER_NAME,
                                         /*tiles=*/false,
                                         product_float32,
                                         product_bfloat16,
                                         product_int8,
                                         pack_float32,
                                         pack_pairs<float>,
                                         pack_pairs<c10::BFloat16>,
                                         pack_transposed_float32,
                                         pack_transposed_pairs<float>,
                                         pack_transposed_pairs<c10::BFloat16>,
                                         transposed_left<c10::BFloat16>,
                                         transposed_left<float>,
                                         widen_float32,
                                         widen_pairs,
                                         round_rows};
  return kKernels;
}

}  // namespace mformer::kernels::cpu
