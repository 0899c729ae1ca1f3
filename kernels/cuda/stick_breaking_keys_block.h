#pragma once

#include "kernels/cuda/stick_breaking_backward_block.h"

namespace mformer::kernels::cuda {

/// Adds sums of add_columns times `scale` to [count keys, width].
template <class T>
MFORMER_HD void add_keys(int thread, const Sums& sums, float scale, float* to, int64_t stride, int64_t count,
                         int64_t width) {
  MFORMER_UNROLL
  for (int i = 0; i < 4; ++i) {
    MFORMER_UNROLL
    for (int j = 0; j < 4; ++j) {
      const Place at = Places<T>::of_columns(thread, i, j);
      if (at.row < count && at.column < width) to[at.row * stride + at.column] += sums.x[i][j] * scale;
    }
  }
}

/// The first tile of rows from `row_tile` on of which any row reached the tile of keys; or how many there are.
MFORMER_HD int64_t next_row_tile(const AttentionBackward& p, int64_t pair, int64_t tile, int64_t row_tile) {
  for (; row_tile < p.row_tiles(); ++row_tile) {
    const RowTile rows(p.sizes, pair, row_tile, p.first_row, p.first_row + p.rows);
    if (rows.last_key_tile() >= tile && p.first_tile[pair * p.row_tiles() + row_tile] <= tile) break;
  }
  return row_tile;
}

/// Block (x, y): tile x of keys, pair y.
template <int kChunks, class T, class Block>
MFORMER_HD void attention_backward_keys(Block& block, BackwardShared<T>& shared, const AttentionBackward& p) {
  const AttentionSizes& s = p.sizes;
  const int64_t tile = block.index.x, first_key = tile * kSide, pair = block.index.y;
  const BackwardTensors<T> in(p);
  int64_t row_tile = next_row_tile(p, pair, tile, 0), following = row_tile;
  const auto begin = [&](int thread, int step, TileOf<T>& a, TileOf<T>& b) {
    const bool next = step == 3 * kChunks;
    if ((next ? following : row_tile) == p.row_tiles()) return;
    const RowTile rows(s, pair, next ? following : row_tile, p.first_row, p.first_row + p.rows);
    const int turn = next ? 0 : step / kChunks, chunk = step % kChunks;
    const auto load_rows = [&](TileOf<T>& to, const RowsOf<const T>& from) {
      load_chunk<Block, T>(block, thread, to, from, rows.batch, rows.head, rows.first, rows.count, s.head_size, chunk);
    };
    load_rows(a, turn == 0 ? in.query : in.grad);
    if (turn == 2) return load_rows(b, in.query);
    load_chunk<Block, T>(block, thread, b, turn == 0 ? in.key : in.value, rows.batch, rows.head, first_key,
                         s.keys - first_key, s.head_size, chunk);
  };
  Pairs<T, decltype(begin)> pairs{shared, begin};
  pairs.start(block);
  typename Block::template Local<float> rest, expected;
  typename Block::template Local<Sums> key_sums[kChunks], value_sums[kChunks];
  block.each([&](int thread) {
    MFORMER_UNROLL
    for (int chunk = 0; chunk < kChunks; ++chunk) {
      clear(key_sums[chunk][thread]);
      clear(value_sums[chunk][thread]);
    }
  });
  for (; row_tile < p.row_tiles(); row_tile = following) {
    const RowTile rows(s, pair, row_tile, p.first_row, p.first_row + p.rows);
    following = next_row_tile(p, pair, tile, row_tile + 1);
    block.each([&](int thread) {
      const int64_t at = state_at(p, pair, tile, row_tile) + ScanPart(thread).row;
      rest[thread] = p.rest[at];
      expected[thread] = p.expected[at];
    });
    tile_gradients<kChunks>(block, shared, pairs, s, rows, first_key, rest, expected);
    MFORMER_UNROLL
    for (int chunk = 0; chunk < kChunks; ++chunk) {
      block.each([&](int thread) { pairs.arrive(block, thread, 2 * kChunks + chunk); });
      block.each_warp([&](auto& warp) {
        warp.lanes([&](int thread) { pairs.begin_next(thread, 2 * kChunks + chunk); });
        add_columns(warp, shared.weights(), pairs.a(), value_sums[chunk]);
        add_columns(warp, shared.score_gradients(), pairs.b(), key_sums[chunk]);
      });
      pairs.pass();
    }
  }
  const int64_t stride = s.heads * s.head_size;
  const int64_t at = ((pair / s.heads * s.keys + first_key) * s.heads + pair % s.heads) * s.head_size;
  block.each([&](int thread) {
    MFORMER_UNROLL
    for (int chunk = 0; chunk < kChunks; ++chunk) {
      const int64_t column = chunk * kSide, count = s.keys - first_key, width = s.head_size - column;
      add_keys<T>(thread, key_sums[chunk][thread], scale_of(s), p.key_sums + at + column, stride, count, width);
      add_keys<T>(thread, value_sums[chunk][thread], 1.0F, p.value_sums + at + column, stride, count, width);
    }
  });
}

}  // namespace mformer::kernels::cuda
