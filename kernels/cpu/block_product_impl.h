// The implementation behind block_product.h, included by one file per kind of processor, which defines MFORMER_KERNELS
// (its function), MFORMER_NAME and MFORMER_LANES, and is compiled for that processor. All has internal linkage, and
// nothing of the standard library is used: no function compiled here may stand in for another file's.

#include "kernels/cpu/block_steps_impl.h"

namespace mformer::kernels::cpu {
namespace {

template <int Rows, int V>
MFORMER_INLINE void read_tile(const Target& c, int64_t column, Floats (&total)[Rows][V]) {
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) total[r][v] = read<Floats>(c.data + r * c.row + column + v * kLanes);
  }
}

template <int Rows, int V>
MFORMER_INLINE void write_tile(const Floats (&total)[Rows][V], const Target& c, int64_t column) {
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v)
      __builtin_memcpy(c.data + r * c.row + column + v * kLanes, &total[r][v], sizeof(Floats));
  }
}

/// Rows × V vectors of columns, from column `column` of the panel on.
template <int Rows, int V>
void tile8(const QuantisedRows& a, const uint8_t* panel, int64_t column, const Target& c) {
  Floats total[Rows][V] = {};
  if (c.add) read_tile(c, column, total);
  const int8_t* codes = a.codes;
  for (int64_t g = 0; g < a.groups; ++g, panel += group_bytes(8), codes += kInputsPerGroup) {
    Ints sum[Rows][V];
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 16
      for (int v = 0; v < V; ++v) start8(a.sum[r * a.groups + g], sum[r][v]);
    }
    for (int64_t s = 0; s < kSteps; ++s) {
      const uint8_t* step = panel + s * kStepBytes + 4 * column;
      Left x[Rows];
#pragma GCC unroll 8
      for (int r = 0; r < Rows; ++r) left(codes + r * a.groups * kInputsPerGroup + 4 * s, true, x[r]);
#pragma GCC unroll 16
      for (int v = 0; v < V; ++v) {
        const Words weights = read<Words>(step + 4 * kLanes * v);
        if (Rows == 1 && v * kLanes % 16 == 0) prefetch(step + 4 * kLanes * v);
#pragma GCC unroll 8
        for (int r = 0; r < Rows; ++r) add8(weights, x[r], sum[r][v]);
      }
    }
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) {
      Floats scale;
      halves(panel + kScalesAt8 + 2 * (column + v * kLanes), scale);
#pragma GCC unroll 8
      for (int r = 0; r < Rows; ++r) {
        total[r][v] += __builtin_convertvector(sum[r][v], Floats) * scale * a.scale[r * a.groups + g];
      }
    }
  }
  write_tile(total, c, column);
}

template <int Rows, int V>
void tile4(const QuantisedRows& a, const uint8_t* panel, int64_t column, const Target& c) {
  Floats total[Rows][V] = {};
  if (c.add) read_tile(c, column, total);
  const int8_t* codes = a.codes;
  for (int64_t g = 0; g < a.groups; ++g, panel += group_bytes(4), codes += kInputsPerGroup) {
    Ints sum[Rows][V] = {};
    for (int64_t s = 0; s < kSteps / 2; ++s) {
      const uint8_t* step = panel + s * kStepBytes + 4 * column;
      Left low[Rows], high[Rows];
#pragma GCC unroll 8
      for (int r = 0; r < Rows; ++r) {
        left(codes + r * a.groups * kInputsPerGroup + 8 * s, false, low[r]);
        left(codes + r * a.groups * kInputsPerGroup + 8 * s + 4, false, high[r]);
      }
#pragma GCC unroll 16
      for (int v = 0; v < V; ++v) {
        const Words both = read<Words>(step + 4 * kLanes * v);
        if (Rows == 1 && v * kLanes % 16 == 0) prefetch(step + 4 * kLanes * v);
        const Words low_codes = both & kHalves, high_codes = both >> 4U & kHalves;
#pragma GCC unroll 8
        for (int r = 0; r < Rows; ++r) {
          add4(low_codes, low[r], sum[r][v]);
          add4(high_codes, high[r], sum[r][v]);
        }
      }
    }
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) {
      Floats scale, least;
      halves(panel + kScalesAt4 + 2 * (column + v * kLanes), scale);
      halves(panel + kScalesAt4 + 2 * (kPanelColumns + column + v * kLanes), least);
#pragma GCC unroll 8
      for (int r = 0; r < Rows; ++r) {
        finish4(sum[r][v]);
        total[r][v] += __builtin_convertvector(sum[r][v], Floats) * scale * a.scale[r * a.groups + g];
        total[r][v] += least * a.offset[r * a.groups + g];
      }
    }
  }
  write_tile(total, c, column);
}

#if MFORMER_LANES == 16
constexpr int kTileRows = 4, kTileVectors = 4;
#elif MFORMER_LANES == 8
constexpr int kTileRows = 2, kTileVectors = 4;
#else
constexpr int kTileRows = 2, kTileVectors = 4;
#endif

/// A row alone reads a step's columns at once, so that memory is read in order.
constexpr int kAllVectors = kPanelColumns / kLanes;

using TileFunction = void (*)(const QuantisedRows&, const uint8_t*, int64_t, const Target&);

MFORMER_INLINE QuantisedRows rows_from(const QuantisedRows& a, int64_t row) {
  return {a.codes + row * a.groups * kInputsPerGroup, a.scale + row * a.groups, a.offset + row * a.groups,
          a.sum + row * a.groups, a.groups};
}

MFORMER_INLINE void all_rows(int64_t rows, const QuantisedRows& a, const uint8_t* panel, const Target& c,
                             const TileFunction (&tiles)[5]) {
  for (int64_t row = 0; row < rows;) {
    const int64_t count = rows - row < kTileRows ? rows - row : kTileRows;
    const int64_t width = count == 1 ? kPanelColumns : kTileVectors * kLanes;
    for (int64_t column = 0; column < kPanelColumns; column += width) {
      tiles[count](rows_from(a, row), panel, column, {c.data + row * c.row, c.row, c.add});
    }
    row += count;
  }
}

void product8(int64_t rows, const QuantisedRows& a, const uint8_t* panel, const Target& c) {
  static constexpr TileFunction kTiles[] = {
      nullptr,        tile8<1, kAllVectors>,          tile8<2, kTileVectors>, tile8 < kTileRows >= 3 ? 3 : 2,
      kTileVectors >, tile8 < kTileRows >= 4 ? 4 : 2, kTileVectors > };
  all_rows(rows, a, panel, c, kTiles);
}

void product4(int64_t rows, const QuantisedRows& a, const uint8_t* panel, const Target& c) {
  static constexpr TileFunction kTiles[] = {
      nullptr,        tile4<1, kAllVectors>,          tile4<2, kTileVectors>, tile4 < kTileRows >= 3 ? 3 : 2,
      kTileVectors >, tile4 < kTileRows >= 4 ? 4 : 2, kTileVectors > };
  all_rows(rows, a, panel, c, kTiles);
}

/// x [kInputsPerGroup] of a row → its codes, scale, offset and sum.
MFORMER_INLINE void quantise_group(const float* x, int8_t* codes, float& scale, float& offset, int32_t& sum) {
  float most = 0, poison = 0;
  for (int64_t i = 0; i < kInputsPerGroup; ++i) {
    const float magnitude = __builtin_fabsf(x[i]);
    most = magnitude > most ? magnitude : most;
  }
  for (int64_t i = 0; i < kInputsPerGroup; ++i) poison += x[i] * 0.0F;  // NaN where x is not finite
  // Magnitudes below this have no inverse: they are zero to everything they meet.
  const float inverse = most > 1e-36F ? 127.0F / most : 0.0F;
  int32_t whole[kInputsPerGroup], total = 0;
  for (int64_t i = 0; i < kInputsPerGroup; ++i)
    whole[i] = static_cast<int32_t>(__builtin_rintf(poison == 0 ? x[i] * inverse : 0.0F));
  for (int64_t i = 0; i < kInputsPerGroup; ++i) codes[i] = static_cast<int8_t>(whole[i]);
  for (int64_t i = 0; i < kInputsPerGroup; ++i) total += whole[i];
  scale = most / 127.0F + poison;
  sum = total;
  offset = scale * static_cast<float>(total);
}

void quantise(int64_t inner, const float* x, const QuantisedRowsTo& to) {
  for (int64_t g = 0; g * kInputsPerGroup < inner; ++g) {
    const float* group = x + g * kInputsPerGroup;
    float padded[kInputsPerGroup] = {};
    if (inner - g * kInputsPerGroup < kInputsPerGroup) {
      for (int64_t i = 0; i < inner - g * kInputsPerGroup; ++i) padded[i] = group[i];
      group = padded;
    }
    quantise_group(group, to.codes + g * kInputsPerGroup, to.scale[g], to.offset[g], to.sum[g]);
  }
}

/// The nearest bfloat16 in the upper half, ties to even.
MFORMER_INLINE Words rounded(const Floats& x) {
  const Words bits = (Words)x;
  return bits + 0x7fffU + (bits >> 16U & 1U);
}

/// Words of the panel's rows 2i and 2i + 1 from their values.
MFORMER_INLINE void write_pair(const Floats& even, const Floats& odd, c10::BFloat16* to) {
  const Words pair = rounded(even) >> 16U | (rounded(odd) & 0xffff0000U);
  __builtin_memcpy(to, &pair, sizeof pair);
}

/// Four inputs of the columns of one vector, a code in each byte, as numbers: two rows of pairs.
MFORMER_INLINE void write_step(const Words& codes, const Floats& scale, const Floats& least, c10::BFloat16* to) {
  Floats value[4];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    value[i] = __builtin_convertvector((Ints)(codes >> (8U * i) & 0xffU), Floats) * scale + least;
  }
  write_pair(value[0], value[1], to);
  write_pair(value[2], value[3], to + 2 * kPanelColumns);
}

void widen8(int64_t groups, const uint8_t* panel, c10::BFloat16* to) {
  for (int64_t g = 0; g < groups; ++g, panel += group_bytes(8), to += kInputsPerGroup * kPanelColumns) {
    for (int64_t column = 0; column < kPanelColumns; column += kLanes) {
      Floats scale;
      halves(panel + kScalesAt8 + 2 * column, scale);
      const Floats least = -128.0F * scale;
#pragma GCC unroll 2
      for (int64_t s = 0; s < kSteps; ++s) {
        write_step(read<Words>(panel + s * kStepBytes + 4 * column), scale, least,
                   to + 4 * s * kPanelColumns + 2 * column);
      }
    }
  }
}

void widen4(int64_t groups, const uint8_t* panel, c10::BFloat16* to) {
  for (int64_t g = 0; g < groups; ++g, panel += group_bytes(4), to += kInputsPerGroup * kPanelColumns) {
    for (int64_t column = 0; column < kPanelColumns; column += kLanes) {
      Floats scale, least;
      halves(panel + kScalesAt4 + 2 * column, scale);
      halves(panel + kScalesAt4 + 2 * (kPanelColumns + column), least);
      for (int64_t s = 0; s < kSteps / 2; ++s) {
        const Words both = read<Words>(panel + s * kStepBytes + 4 * column);
        c10::BFloat16* rows = to + 8 * s * kPanelColumns + 2 * column;
        write_step(both & kHalves, scale, least, rows);
        write_step(both >> 4U & kHalves, scale, least, rows + 4 * kPanelColumns);
      }
    }
  }
}

}  // namespace

const BlockKernels& MFORMER_KERNELS() {
  static constexpr BlockKernels kKernels{MFORMER_NAME, product8, product4, quantise, widen8, widen4};
  return kKernels;
}

}  // namespace mformer::kernels::cpu
