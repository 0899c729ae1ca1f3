#pragma once

#include <cmath>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/tile.h"

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
  MFORMER_HD T* at(int64_t b, int64_t r, int64_t h) const { return data + b * batch + r * row + h * head; }
};
template <class T>
MFORMER_HD RowsOf<T> rows_of(const Rows& x) {
  return {static_cast<T*>(x.data), x.batch, x.row, x.head};
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
MFORMER_HD Break break_at(float z) {
  const float t = expf(-most(-kLargestScore, least(kLargestScore, z)));
  const float beta = 1.0F / (1.0F + t);
  return {beta, t * beta};
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

MFORMER_HD void write_part(Tile& tile, const ScanPart& part, const PartValues& values) {
  MFORMER_UNROLL
  for (int j = 0; j < kKeysPerPart; j += 4) {
    Four four;
    MFORMER_UNROLL
    for (int e = 0; e < 4; ++e) four.v[e] = values.x[j + e];
    tile.four(part.row, part.first + j) = four;
  }
}

/// Rows [first, first + count) of a tensor, columns of one chunk of 64 of the head.
template <class T>
MFORMER_HD void load_chunk(int thread, Tile& tile, const RowsOf<T>& from, int64_t batch, int64_t head, int64_t first,
                           int64_t count, int64_t head_size, int chunk) {
  const int column = chunk * kSide;
  load(thread, tile, from.at(batch, first, head) + column, from.row, static_cast<int>(least<int64_t>(kSide, count)),
       static_cast<int>(least<int64_t>(kSide, head_size - column)));
}

/// How deep a product over a chunk is: whole fours; what lies beyond the head is 0.
MFORMER_HD int depth_of(int64_t head_size, int chunk) {
  return static_cast<int>((least<int64_t>(kSide, head_size - chunk * kSide) + 3) / 4 * 4);
}

/// scores = scale · rows · keysᵀ, chunk by chunk of the head, through the tiles a and b. `again`: the only chunk of the
/// rows is still in a.
template <int kChunks, class Block, class T>
MFORMER_HD void multiply_tile(Block& block, const RowTile& rows, const RowsOf<T>& left, const AttentionSizes& s,
                              const RowsOf<T>& right, int64_t first_key, float scale, bool again, Tile& a, Tile& b,
                              Tile& scores) {
  typename Block::template Local<Sums> sums;
  for (int chunk = 0; chunk < kChunks; ++chunk) {
    block.each([&](int thread) {
      if (kChunks > 1 || !again) {
        load_chunk(thread, a, left, rows.batch, rows.head, rows.first, rows.count, s.head_size, chunk);
      }
      load_chunk(thread, b, right, rows.batch, rows.head, first_key, s.keys - first_key, s.head_size, chunk);
    });
    block.each([&](int thread) {
      if (chunk == 0) clear(sums[thread]);
      multiply_rows(thread, a, b, depth_of(s.head_size, chunk), sums[thread]);
      if (chunk == kChunks - 1) store_rows(thread, sums[thread], scale, scores);
    });
  }
}

/// Writes sums of `count` rows (add_rows: row g + 16 i) times `scale`.
template <class T>
MFORMER_HD void write_rows(int thread, const Sums& sums, float scale, T* to, int64_t stride, int count, int width) {
  MFORMER_UNROLL
  for (int i = 0; i < 4; ++i) {
    const int row = row_group(thread) + kGroups * i;
    MFORMER_UNROLL
    for (int c = 0; c < 4; ++c) {
      const int column = 4 * column_group(thread) + c;
      if (row < count && column < width) assign(to[row * stride + column], sums.x[i][c] * scale);
    }
  }
}

MFORMER_HD float scale_of(const AttentionSizes& s) {
  return 1.0F / sqrtf(static_cast<float>(s.head_size));
}

}  // namespace mformer::kernels::cuda
