// The product of bfloat16 factors in the tile registers of AMX; all else is that of AVX-512 with bfloat16. Nothing of
// the standard library is used: no function compiled here may stand in for another file's.

#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MFORMER_LANES 16
#include "kernels/cpu/panel_words_impl.h"

namespace mformer::kernels::cpu {

const PanelKernels& panel_kernels_avx512_bf16();

namespace {

using c10::BFloat16;

// A tile register has 16 rows of 64 bytes: 16 float32 sums, or 16 pairs of bfloat16. Sums 0 … 3 are two tiles of rows
// by two of columns, 4 and 5 the left factor's rows, 6 and 7 the right factor's columns.
constexpr int64_t kTileRows = 16, kTileColumns = 16, kTileInner = 32;
constexpr int64_t kBlockRows = 2 * kTileRows, kBlockColumns = 2 * kTileColumns;
/// Of the right factor at a time: with two tiles of columns 32 KB, which stay in the first-level cache while rows pass.
constexpr int64_t kInnerPerPass = 512;
/// Bytes from one pair of rows of a panel to the next.
constexpr int64_t kPanelStride = 2 * kPanelColumns * 2;

struct alignas(64) Configuration {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {};
};

/// Makes the registers fit `first` rows in the upper tiles and `second` in the lower ones, each 1 … 16; both are
/// zeroed. Others (LibTorch's products) set them, too, so nothing is assumed of what they were before.
void configure(int64_t first, int64_t second) {
  Configuration to;
  const auto upper = static_cast<uint8_t>(first), lower = static_cast<uint8_t>(second);
  const uint8_t rows[8] = {upper, upper, lower, lower, upper, lower, kTileRows, kTileRows};
  __builtin_memcpy(to.rows, rows, sizeof rows);
  // GCC takes the instruction to read eight bytes: what is written to the others must not seem to be for nothing.
  __asm__ volatile("" : : "r"(&to) : "memory");
  _tile_loadconfig(&to);
}

/// A part of the factors: `steps` tiles of the inner sum.
struct Part {
  int64_t steps;
  const BFloat16* a;  // the upper rows
  const BFloat16* a_lower;
  int64_t a_stride;  // in bytes
  const BFloat16* b;
};

template <bool kLower, bool kRight>
[[gnu::always_inline]] inline void add_part(const Part& part) {
  const BFloat16 *a = part.a, *a_lower = part.a_lower, *b = part.b;
  for (int64_t step = 0; step < part.steps; ++step) {
    _tile_loadd(4, a, part.a_stride);
    _tile_loadd(6, b, kPanelStride);
    _tile_dpbf16ps(0, 4, 6);
    if constexpr (kRight) {
      _tile_loadd(7, b + 2 * kTileColumns, kPanelStride);
      _tile_dpbf16ps(1, 4, 7);
    }
    if constexpr (kLower) {
      _tile_loadd(5, a_lower, part.a_stride);
      _tile_dpbf16ps(2, 5, 6);
      if constexpr (kRight) _tile_dpbf16ps(3, 5, 7);
    }
    a += kTileInner;
    a_lower += kTileInner;
    b += kTileInner * kPanelColumns;
  }
}

/// Sums of up to 32 × 32, over the parts in order.
template <bool kLower, bool kRight>
void sum_block(const Part& whole, const Part& rest, float* c, int64_t c_row, bool add) {
  const int64_t stride = c_row * 4;
  float *right = c + kTileColumns, *lower = c + kTileRows * c_row, *last = lower + kTileColumns;
  if (add) {
    _tile_loadd(0, c, stride);
    if constexpr (kRight) _tile_loadd(1, right, stride);
    if constexpr (kLower) _tile_loadd(2, lower, stride);
    if constexpr (kLower && kRight) _tile_loadd(3, last, stride);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  add_part<kLower, kRight>(whole);
  add_part<kLower, kRight>(rest);
  _tile_stored(0, c, stride);
  if constexpr (kRight) _tile_stored(1, right, stride);
  if constexpr (kLower) _tile_stored(2, lower, stride);
  if constexpr (kLower && kRight) _tile_stored(3, last, stride);
}

/// What is left of the inner sum when whole tiles are done, with zeros behind it.
struct Rest {
  alignas(64) BFloat16 a[kBlockRows * kTileInner];
  alignas(64) BFloat16 b[kTileInner * kPanelColumns];
};

/// Elements [first, inner) of `rows` rows.
void copy_left(int64_t rows, int64_t elements, const BFloat16* from, int64_t stride, BFloat16* to) {
  const auto mask = static_cast<__mmask32>((uint64_t{1} << elements) - 1);
  for (int64_t r = 0; r < rows; ++r) {
    _mm512_store_si512(to + r * kTileInner, _mm512_maskz_loadu_epi16(mask, from + r * stride));
  }
}

/// Rows [first, inner) of a panel; an odd inner sum has a row of zeros behind it.
void copy_right(int64_t elements, const BFloat16* from, BFloat16* to) {
  const int64_t values = (elements + 1) / 2 * 2 * kPanelColumns;
  __builtin_memcpy(to, from, values * sizeof(BFloat16));
  __builtin_memset(static_cast<void*>(to + values), 0, (kTileInner * kPanelColumns - values) * sizeof(BFloat16));
}

struct Factors {
  int64_t rows, inner, columns;
  const BFloat16* a;
  int64_t a_row;
  const BFloat16* b;
};

using BlockSum = void (*)(const Part&, const Part&, float*, int64_t, bool);

/// All rows by up to two tiles of columns.
void sum_columns(const Factors& f, int64_t column, Rest& rest, const Target& c) {
  const int64_t whole = f.inner / kTileInner, left = f.inner - whole * kTileInner;
  const bool right = f.columns - column > kTileColumns;
  for (int64_t row = 0; row < f.rows; row += kBlockRows) {
    const int64_t rows = f.rows - row < kBlockRows ? f.rows - row : kBlockRows;
    const bool lower = rows > kTileRows;
    if (row == 0 || rows < kBlockRows) configure(lower ? kTileRows : rows, lower ? rows - kTileRows : kTileRows);
    const BFloat16* a = f.a + row * f.a_row;
    if (left > 0) copy_left(rows, left, a + whole * kTileInner, f.a_row, rest.a);
    const Part first{whole, a, a + kTileRows * f.a_row, f.a_row * 2, f.b + 2 * column};
    const Part second{left > 0 ? 1 : 0, rest.a, rest.a + kTileRows * kTileInner, kTileInner * 2, rest.b + 2 * column};
    const BlockSum sum = lower ? (right ? &sum_block<true, true> : &sum_block<true, false>)
                               : (right ? &sum_block<false, true> : &sum_block<false, false>);
    sum(first, second, c.data + row * c.row + column, c.row, c.add);
  }
}

void product_bfloat16_in_tiles(int64_t rows, int64_t inner, int64_t columns, const LeftFactor<BFloat16>& a,
                               const BFloat16* b, const Target& c) {
  if (a.step != 2) return panel_kernels_avx512_bf16().bfloat16(rows, inner, columns, a, b, c);
  Rest rest;
  Target to = c;
  int64_t first = 0;
  do {
    const int64_t part = inner - first < kInnerPerPass ? inner - first : kInnerPerPass;
    const Factors f{rows, part, columns, a.data + first, a.row, b + first * kPanelColumns};
    const int64_t whole = part / kTileInner * kTileInner;
    if (whole < part) copy_right(part - whole, f.b + whole * kPanelColumns, rest.b);
    for (int64_t column = 0; column < columns; column += kBlockColumns) sum_columns(f, column, rest, to);
    to.add = true;
    first += part;
  } while (first < inner);
  _tile_release();
}

/// Elements of the inner sum as words of two, for 16 rows: `words` [pair][row].
template <typename From>
[[gnu::always_inline]] inline void read_rows(int64_t elements, int64_t rows, const From* from, int64_t stride,
                                             BlockRow (&words)[kBlock]) {
  if (elements == kTileInner && rows == kBlock) {
#pragma GCC unroll 16
    for (int64_t p = 0; p < kBlock; ++p) {
      const From *even = from + 2 * p * stride, *odd = even + stride;
      join_rows(even, odd, words[p]);
    }
    return;
  }
  for (int64_t p = 0; p < kBlock; ++p) {
    const From *even = from + 2 * p * stride, *odd = even + stride;
    words[p] = BlockRow{};
    for (int64_t r = 0; 2 * p < elements && r < rows; ++r) {
      words[p][r] = rounded(even[r]) >> 16U | (2 * p + 1 < elements ? rounded(odd[r]) : 0U);
    }
  }
}

/// A tile reads rows of the left factor, so they are written as such, with zeros behind them.
template <typename From>
LeftFactor<BFloat16> transposed_left(int64_t inner, int64_t rows, const From* from, int64_t stride, BFloat16* room) {
  const int64_t row = (inner + kTileInner - 1) / kTileInner * kTileInner;
  for (int64_t r = 0; r < rows; r += kBlock) {
    const int64_t block_rows = rows - r < kBlock ? rows - r : kBlock;
    for (int64_t i = 0; i < inner; i += kTileInner) {
      BlockRow words[kBlock];
      read_rows(inner - i < kTileInner ? inner - i : kTileInner, block_rows, from + i * stride + r, stride, words);
      transpose(words);
      for (int64_t s = 0; s < block_rows; ++s) {
        __builtin_memcpy(static_cast<void*>(room + (r + s) * row + i), &words[s], sizeof(BlockRow));
      }
    }
  }
  return {room, row, 2};
}

}  // namespace

bool may_use_amx() {
  // The kernel gives a process the state of tile registers at its wish (Documentation/arch/x86/xstate.rst of Linux).
  constexpr int64_t kAskForState = 0x1023, kTileData = 18;
  return __builtin_cpu_supports("amx-tile") && __builtin_cpu_supports("amx-bf16") &&
         syscall(SYS_arch_prctl, kAskForState, kTileData) == 0;
}

const PanelKernels& panel_kernels_amx() {
  static const PanelKernels kernels = [] {
    PanelKernels of_amx = panel_kernels_avx512_bf16();
    of_amx.name = "AVX-512, bfloat16 in AMX tiles";
    of_amx.tiles = true;
    of_amx.bfloat16 = product_bfloat16_in_tiles;
    of_amx.transposed_left = transposed_left<BFloat16>;
    of_amx.transposed_left_rounded = transposed_left<float>;
    return of_amx;
  }();
  return kernels;
}

}  // namespace mformer::kernels::cpu
