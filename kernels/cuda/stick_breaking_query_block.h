#pragma once

#include "kernels/cuda/stick_breaking_backward_block.h"

namespace mformer::kernels::cuda {

/// Breaks the sticks of a tile of rows and writes down what is left of them at each tile of keys. Returns the first
/// tile that any reached.
template <int kChunks, class T, class Block>
MFORMER_HD int64_t break_rows(Block& block, BackwardShared<T>& shared, const AttentionBackward& p,
                              const BackwardTensors<T>& in, const RowTile& rows, int64_t row_tile) {
  const AttentionSizes& s = p.sizes;
  typename Block::template Local<float> rest;
  int64_t tile = rows.last_key_tile();
  const auto begin = [&](int thread, int step, TileOf<T>& a, TileOf<T>& b) {
    const int64_t key_tile = step == kChunks ? tile - 1 : tile;
    const int chunk = step % kChunks;
    if (key_tile < 0) return;
    const bool still_there = kChunks == 1 && !BackwardTiles<T>::early && tile < rows.last_key_tile();
    if (!still_there) {
      load_chunk<Block, T>(block, thread, a, in.query, rows.batch, rows.head, rows.first, rows.count, s.head_size,
                           chunk);
    }
    load_chunk<Block, T>(block, thread, b, in.key, rows.batch, rows.head, key_tile * kSide, s.keys - key_tile * kSide,
                         s.head_size, chunk);
  };
  Pairs<T, decltype(begin)> pairs{shared, begin};
  pairs.start(block);
  block.each([&](int thread) { rest[thread] = rows.seen(s, ScanPart(thread).row, 0) > 0 ? 1.0F : 0.0F; });
  for (;; --tile) {
    multiply_tile<kChunks>(block, pairs, 0, s.head_size, scale_of(s), shared.scores, [&](int thread) {
      load_mask(thread, s, rows.batch, tile * kSide, shared.real);
      if (thread == 0) shared.alive = 0;
      if (thread < kSide) p.rest[state_at(p, block.index.y, tile, row_tile) + thread] = rest[thread];
    });
    hide_scores(block, shared, s, rows, tile * kSide);
    block.each([&](int thread) {
      for (int part = kParts - 1; part >= 0; --part) {
        rest[thread] = left_of(rest[thread] * shared.passed[part][ScanPart(thread).row]);
      }
      if (rest[thread] > 0) shared.alive = 1;  // whoever writes, writes the same
    });
    if (tile == 0 || shared.alive == 0) return tile;
  }
}

/// Block (x, y): tile x of rows, from the last, pair y.
template <int kChunks, class T, class Block>
MFORMER_HD void attention_backward_query(Block& block, BackwardShared<T>& shared, const AttentionBackward& p) {
  const AttentionSizes& s = p.sizes;
  const int64_t row_tile = p.row_tiles() - 1 - block.index.x;
  const RowTile rows(s, block.index.y, row_tile, p.first_row, p.first_row + p.rows);
  const BackwardTensors<T> in(p);
  const int64_t first_tile = break_rows<kChunks, T>(block, shared, p, in, rows, row_tile);
  int64_t tile = first_tile;
  const auto begin = [&](int thread, int step, TileOf<T>& a, TileOf<T>& b) {
    const bool next = step == 3 * kChunks, values = step / kChunks == 1;
    const int64_t key_tile = next ? tile + 1 : tile;
    const int chunk = step % kChunks;
    if (key_tile > rows.last_key_tile()) return;
    if (next || step < 2 * kChunks) {
      load_chunk<Block, T>(block, thread, a, values ? in.grad : in.query, rows.batch, rows.head, rows.first, rows.count,
                           s.head_size, chunk);
    }
    load_chunk<Block, T>(block, thread, b, values ? in.value : in.key, rows.batch, rows.head, key_tile * kSide,
                         s.keys - key_tile * kSide, s.head_size, chunk);
  };
  Pairs<T, decltype(begin)> pairs{shared, begin};
  pairs.start(block);
  typename Block::template Local<float> rest, expected;
  typename Block::template Local<Sums> sums[kChunks];
  block.each([&](int thread) {
    expected[thread] = 0;
    if (thread == 0) p.first_tile[block.index.y * p.row_tiles() + row_tile] = static_cast<int32_t>(first_tile);
    MFORMER_UNROLL
    for (int chunk = 0; chunk < kChunks; ++chunk) clear(sums[chunk][thread]);
  });
  for (; tile <= rows.last_key_tile(); ++tile) {
    block.each([&](int thread) {
      const ScanPart part(thread);
      const int64_t at = state_at(p, block.index.y, tile, row_tile) + part.row;
      rest[thread] = p.rest[at];
      if (part.part == 0) p.expected[at] = expected[thread];
    });
    tile_gradients<kChunks>(block, shared, pairs, s, rows, tile * kSide, rest, expected);
    MFORMER_UNROLL
    for (int chunk = 0; chunk < kChunks; ++chunk) {
      block.each([&](int thread) { pairs.arrive(block, thread, 2 * kChunks + chunk); });
      block.each_warp([&](auto& warp) {
        warp.lanes([&](int thread) { pairs.begin_next(thread, 2 * kChunks + chunk); });
        add_rows(warp, shared.score_gradients(), pairs.b(), sums[chunk]);
      });
      pairs.pass();
    }
  }
  block.each([&](int thread) {
    MFORMER_UNROLL
    for (int chunk = 0; chunk < kChunks; ++chunk) {
      const int column = chunk * kSide;
      write_rows(thread, sums[chunk][thread], scale_of(s),
                 rows_of<T>(p.query_gradient, s.head_size).at(rows.batch, rows.first, rows.head) + column,
                 p.query_gradient.row, rows.count, static_cast<int>(s.head_size) - column);
    }
  });
}

}  // namespace mformer::kernels::cuda
