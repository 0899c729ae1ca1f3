#pragma once

#include "kernels/cuda/stick_breaking_block.h"

namespace mformer::kernels::cuda {

/// What the threads of a block share, but for what is multiplied.
struct ScanShared {
  float passed[kParts][kSide];  // what a part leaves of a row's stick
  bool real[kSide];
  int alive;
};

/// The rows' chunk, one of keys or values, and the weights, which are written where the scores were.
template <int kChunks, class T>
struct ForwardShared : ScanShared {
  Tile a, b, scores;
  MFORMER_HD Tile& rows(int) { return a; }
  MFORMER_HD Tile& keys(int) { return b; }
  MFORMER_HD Tile& weights() { return scores; }
};
/// Of bfloat16 all chunks of the rows are kept, and while one chunk of keys or values is multiplied, the next comes.
template <int kChunks>
struct ForwardShared<kChunks, BFloat16> : ScanShared {
  HalfTile a[kChunks], b[2];
  union {
    Tile scores;
    HalfTile half;
  };
  MFORMER_HD HalfTile& rows(int chunk) { return a[chunk]; }
  MFORMER_HD HalfTile& keys(int step) { return b[step % 2]; }
  MFORMER_HD HalfTile& weights() { return half; }
};

/// Turns scores into weights along the rows, from the last key to the first; `rest` is what is left of the row's stick,
/// and shared.alive tells whether that of any row is more than nothing.
template <class T, class Block>
MFORMER_HD void break_sticks(Block& block, ScanShared& shared, const Tile& scores, TileOf<T>& to,
                             const AttentionSizes& s, const RowTile& rows, int64_t first_key,
                             typename Block::template Local<float>& rest) {
  typename Block::template Local<PartValues> weights;
  block.each([&](int thread) {
    const ScanPart part(thread);
    PartValues values = read_part(scores, part);
    const int seen = rows.seen(s, part.row, first_key) - part.first;
    float left = 1;
    MFORMER_UNROLL
    for (int j = kKeysPerPart - 1; j >= 0; --j) {
      const Break at = break_at<T>(values.x[j]);
      const bool visible = j < seen && shared.real[part.first + j];
      values.x[j] = visible ? at.beta * left : 0.0F;
      left = visible ? left_of(left * at.pass) : left;
    }
    weights[thread] = values;
    shared.passed[part.part][part.row] = left;
  });
  block.each([&](int thread) {
    const ScanPart part(thread);
    float left = rest[thread];
    MFORMER_UNROLL
    for (int later = kParts - 1; later >= 0; --later) {
      if (later == part.part) {
        MFORMER_UNROLL
        for (int j = 0; j < kKeysPerPart; ++j) weights[thread].x[j] *= left;
      }
      left = left_of(left * shared.passed[later][part.row]);
    }
    rest[thread] = left;
    if (left > 0) shared.alive = 1;  // whoever writes, writes the same
    if constexpr (std::is_same_v<T, BFloat16>) {
      write_part(to, part, halved(weights[thread]));
    } else {
      write_part(to, part, weights[thread]);
    }
  });
}

/// The chunks of keys and values in the order in which the forward pass takes them. Of float32 each is read when it is
/// its turn; of bfloat16 its copies begin while the chunk before it is multiplied.
template <int kChunks, class T>
struct Chunks {
  static constexpr bool early = std::is_same_v<T, BFloat16>;
  const AttentionSizes& s;
  const RowTile& rows;
  RowsOf<const T> query, key, value;
  ForwardShared<kChunks, T>& shared;

  template <class Block>
  MFORMER_HD void begin_rows(Block& block, int thread, int chunk) const {
    load_chunk<Block, T>(block, thread, shared.rows(chunk), query, rows.batch, rows.head, rows.first, rows.count,
                         s.head_size, chunk);
  }
  /// Step n of a tile: chunk n of the keys, then of the values; what follows them is of the tile before.
  template <class Block>
  MFORMER_HD void begin(Block& block, int thread, int64_t tile, int step) const {
    if (step == 2 * kChunks) step = 0, --tile;
    if (tile < 0) return;
    load_chunk<Block, T>(block, thread, shared.keys(step), step < kChunks ? key : value, rows.batch, rows.head,
                         tile * kSide, s.keys - tile * kSide, s.head_size, step % kChunks);
  }
  /// Before the first step.
  template <class Block>
  MFORMER_HD void begin_all(Block& block, int thread, int64_t tile) const {
    if constexpr (early) {
      for (int chunk = 0; chunk < kChunks; ++chunk) begin_rows(block, thread, chunk);
      begin(block, thread, tile, 0);
    }
  }
  /// When this phase is over, the chunk of the step is there. `again`: the only chunk of the rows still is.
  template <class Block>
  MFORMER_HD void finish(Block& block, int thread, int64_t tile, int step, bool again) const {
    if constexpr (early) {
      block.wait_for_copies(thread);
    } else {
      if (step < kChunks && !(kChunks == 1 && again)) begin_rows(block, thread, step);
      begin(block, thread, tile, step);
    }
  }
  /// While the step's chunk is multiplied.
  template <class Block>
  MFORMER_HD void begin_next(Block& block, int thread, int64_t tile, int step) const {
    if constexpr (early) begin(block, thread, tile, step + 1);
  }
};

/// Block (x, y): tile x of rows, from the last (which has the most keys), pair y. Chunks of 64 columns of a head.
template <int kChunks, class T, class Block>
MFORMER_HD void attention_forward(Block& block, ForwardShared<kChunks, T>& shared, const AttentionForward& p) {
  const AttentionSizes& s = p.sizes;
  const int64_t row_count = s.tokens * s.k, tiles = (row_count + kSide - 1) / kSide;
  const RowTile rows(s, block.index.y, tiles - 1 - block.index.x, 0, row_count);
  const Chunks<kChunks, T> chunks{s,
                                  rows,
                                  rows_of<const T>(p.query, s.head_size),
                                  rows_of<const T>(p.key, s.head_size),
                                  rows_of<const T>(p.value, s.head_size),
                                  shared};
  const int64_t last = rows.last_key_tile();
  typename Block::template Local<float> rest;
  typename Block::template Local<Sums> products, sums[kChunks];
  block.each([&](int thread) {
    rest[thread] = rows.seen(s, ScanPart(thread).row, 0) > 0 ? 1.0F : 0.0F;
    MFORMER_UNROLL
    for (int chunk = 0; chunk < kChunks; ++chunk) clear(sums[chunk][thread]);
    chunks.begin_all(block, thread, last);
  });
  for (int64_t tile = last; tile >= 0; --tile) {
    MFORMER_UNROLL
    for (int chunk = 0; chunk < kChunks; ++chunk) {
      block.each([&](int thread) { chunks.finish(block, thread, tile, chunk, tile < last); });
      block.each_warp([&](auto& warp) {
        warp.lanes([&](int thread) {
          chunks.begin_next(block, thread, tile, chunk);
          if (chunk > 0) return;
          clear(products[thread]);
          load_mask(thread, s, rows.batch, tile * kSide, shared.real);
          if (thread == 0) shared.alive = 0;
        });
        multiply_rows(warp, shared.rows(chunk), shared.keys(chunk), depth_of<T>(s.head_size, chunk), products);
        warp.lanes([&](int thread) {
          if (chunk == kChunks - 1) store_rows<T>(thread, products[thread], scale_of(s), shared.scores);
        });
      });
    }
    break_sticks<T>(block, shared, shared.scores, shared.weights(), s, rows, tile * kSide, rest);
    MFORMER_UNROLL
    for (int chunk = 0; chunk < kChunks; ++chunk) {
      block.each([&](int thread) { chunks.finish(block, thread, tile, kChunks + chunk, true); });
      block.each_warp([&](auto& warp) {
        warp.lanes([&](int thread) { chunks.begin_next(block, thread, tile, kChunks + chunk); });
        add_rows(warp, shared.weights(), shared.keys(kChunks + chunk), sums[chunk]);
      });
    }
    if (shared.alive == 0) break;
  }
  block.each([&](int thread) {
    block.wait_for_copies(thread);
    MFORMER_UNROLL
    for (int chunk = 0; chunk < kChunks; ++chunk) {
      const int column = chunk * kSide;
      write_rows(thread, sums[chunk][thread], 1.0F,
                 rows_of<T>(p.output, s.head_size).at(rows.batch, rows.first, rows.head) + column, p.output.row,
                 rows.count, static_cast<int>(s.head_size) - column);
    }
  });
}

}  // namespace mformer::kernels::cuda
