#pragma once

#include <cmath>
#include <type_traits>

#include "kernels/cuda/half_tile.h"
#include "kernels/cuda/launch.h"

// What the programs of stick-breaking attention share: a tile of 64 query rows of one batch row and head meets the keys
// 64 at a time; the scores of a tile become weights by a scan along each row, which four threads share.

namespace mformer::kernels::cuda {

inline constexpr int kParts = kThreads / kSide;  // threads of a row
inline constexpr int kKeysPerPart = kSide / kParts;
inline constexpr float kNothingLeft = 1e-35F;  // as on the CPU: a rest below it counts as nothing
inline constexpr float kLargestScore = 86.6F;  // beyond, β or 1 − β is nothing; e^±86.6 are normal numbers

template <class T>
struct RowsOf {
  T* data;
  int64_t batch, row, head;
  bool whole;  // rows begin at 16 bytes, and are whole sixteens of them
  MFORMER_HD T* at(int64_t b, int64_t r, int64_t h) const { return data + b * batch + r * row + h * head; }
};
template <class T>
MFORMER_HD RowsOf<T> rows_of(const Rows& x, int64_t head_size) {
  constexpr int64_t kWhole = 16 / sizeof(T);
  const bool whole = reinterpret_cast<uintptr_t>(x.data) % 16 == 0 && x.batch % kWhole == 0 && x.row % kWhole == 0 &&
                     x.head % kWhole == 0 && head_size % kWhole == 0;
  return {static_cast<T*>(x.data), x.batch, x.row, x.head, whole};
}

/// One tile of rows of one batch row and head.
struct RowTile {
  int64_t batch, head, first;
  int count;
  int64_t last_position;  // of the last row among the keys

  /// `pair` counts heads within batch rows; `index` tiles of rows before `end`, from `first_row`.
  MFORMER_HD RowTile(const AttentionSizes& s, int64_t pair, int64_t index, int64_t first_row, int64_t end)
      : batch(pair / s.heads), head(pair % s.heads), first(first_row + index * kSide) {
    count = static_cast<int>(least<int64_t>(kSide, end - first));
    last_position = s.keys - s.tokens + (first + count - 1) / s.k;
  }
  MFORMER_HD int64_t last_key_tile() const { return last_position / kSide; }
  /// How many keys of the tile that begins with `key` a row sees, from the tile's first; without the mask.
  MFORMER_HD int seen(const AttentionSizes& s, int row, int64_t key) const {
    if (row >= count) return 0;
    const int64_t position = s.keys - s.tokens + (first + row) / s.k;
    return static_cast<int>(most<int64_t>(0, least<int64_t>(kSide, position + 1 - key)));
  }
};

/// β = σ(z) and 1 − β, each to full relative accuracy.
struct Break {
  float beta, pass;
};
template <class T>
MFORMER_HD Break break_at(float z) {
  const float bounded = -most(-kLargestScore, least(kLargestScore, z));
  if constexpr (std::is_same_v<T, BFloat16>) {  // weights are rounded to 8 bits
    const float t = quick_exp(bounded), beta = quick_quotient(1.0F, 1.0F + t);
    return {beta, t * beta};
  } else {
    const float t = expf(bounded), beta = 1.0F / (1.0F + t);
    return {beta, t * beta};
  }
}

MFORMER_HD float left_of(float rest) {
  return rest > kNothingLeft ? rest : 0.0F;
}

/// Keys that are not padded, of one tile; whoever is beyond the last key is.
MFORMER_HD void load_mask(int thread, const AttentionSizes& s, int64_t batch, int64_t first_key, bool* real) {
  if (thread >= kSide) return;
  const int64_t key = first_key + thread;
  real[thread] = key < s.keys && (s.key_mask == nullptr || s.key_mask[batch * s.keys + key]);
}

/// Which row and keys of a tile a thread scans.
struct ScanPart {
  int row, part, first;
  MFORMER_HD explicit ScanPart(int thread) : row(thread % kSide), part(thread / kSide), first(part * kKeysPerPart) {}
};

struct PartValues {
  float x[kKeysPerPart];
};

MFORMER_HD PartValues read_part(const Tile& tile, const ScanPart& part) {
  PartValues values;
  MFORMER_UNROLL
  for (int j = 0; j < kKeysPerPart; j += 4) {
    const Four four = tile.four(part.row, part.first + j);
    MFORMER_UNROLL
    for (int e = 0; e < 4; ++e) values.x[j + e] = four.v[e];
  }
  return values;
}

/// As bfloat16, rounded.
struct HalfPart {
  alignas(16) BFloat16 x[kKeysPerPart];
};
MFORMER_HD HalfPart halved(const PartValues& values) {
  HalfPart half;
  MFORMER_UNROLL
  for (int j = 0; j < kKeysPerPart; ++j) assign(half.x[j], values.x[j]);
  return half;
}
MFORMER_HD void write_part(HalfTile& tile, const ScanPart& part, const HalfPart& half) {
  struct alignas(16) Eight {
    BFloat16 x[8];
  };
  MFORMER_UNROLL
  for (int j = 0; j < kKeysPerPart; j += 8) {
    Eight eight;
    MFORMER_UNROLL
    for (int e = 0; e < 8; ++e) eight.x[e] = half.x[j + e];
    *reinterpret_cast<Eight*>(tile.at(part.row, part.first + j)) = eight;
  }
}

MFORMER_HD void write_part(Tile& tile, const ScanPart& part, const PartValues& values) {
  MFORMER_UNROLL
  for (int j = 0; j < kKeysPerPart; j += 4) {
    Four four;
    MFORMER_UNROLL
    for (int e = 0; e < 4; ++e) four.v[e] = values.x[j + e];
    tile.four(part.row, part.first + j) = four;
  }
}

/// Begins to read rows [first, first + count) of a tensor, columns of one chunk of 64 of the head; what is bfloat16 is
/// there when the thread has waited for its copies.
template <class Block, class T>
MFORMER_HD void load_chunk(Block& block, int thread, TileOf<T>& tile, const RowsOf<const T>& from, int64_t batch,
                           int64_t head, int64_t first, int64_t count, int64_t head_size, int chunk) {
  const int column = chunk * kSide;
  load(block, thread, tile, from.at(batch, first, head) + column, from.row,
       static_cast<int>(least<int64_t>(kSide, count)), static_cast<int>(least<int64_t>(kSide, head_size - column)),
       from.whole);
}

/// How deep a product over a chunk is: whole steps; what lies beyond the head is 0.
template <class T>
MFORMER_HD int depth_of(int64_t head_size, int chunk) {
  constexpr int kStep = Places<T>::depth;
  return static_cast<int>((least<int64_t>(kSide, head_size - chunk * kSide) + kStep - 1) / kStep * kStep);
}

/// Writes sums of add_rows of `count` rows, times `scale`.
template <class T>
MFORMER_HD void write_rows(int thread, const Sums& sums, float scale, T* to, int64_t stride, int count, int width) {
  MFORMER_UNROLL
  for (int i = 0; i < 4; ++i) {
    MFORMER_UNROLL
    for (int j = 0; j < 4; ++j) {
      const Place at = Places<T>::of_weighted_rows(thread, i, j);
      if (at.row < count && at.column < width) assign(to[at.row * stride + at.column], sums.x[i][j] * scale);
    }
  }
}

MFORMER_HD float scale_of(const AttentionSizes& s) {
  return 1.0F / sqrtf(static_cast<float>(s.head_size));
}

}  // namespace mformer::kernels::cuda
