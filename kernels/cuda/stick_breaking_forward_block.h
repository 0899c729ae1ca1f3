#pragma once

#include "kernels/cuda/stick_breaking_block.h"

namespace mformer::kernels::cuda {

struct ForwardShared {
  Tile a, b, scores;
  float passed[kParts][kSide];  // what a part leaves of a row's stick
  bool real[kSide];
  int alive;
};

/// Turns scores into weights along the rows, from the last key to the first; `rest` is what is left of the row's stick,
/// and shared.alive tells whether that of any row is more than nothing.
template <class Block>
MFORMER_HD void break_sticks(Block& block, ForwardShared& shared, const AttentionSizes& s, const RowTile& rows,
                             int64_t first_key, typename Block::template Local<float>& rest) {
  typename Block::template Local<PartValues> weights;
  block.each([&](int thread) {
    const ScanPart part(thread);
    PartValues values = read_part(shared.scores, part);
    const int seen = rows.seen(s, part.row, first_key) - part.first;
    float left = 1;
    MFORMER_UNROLL
    for (int j = kKeysPerPart - 1; j >= 0; --j) {
      const Break at = break_at(values.x[j]);
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
    write_part(shared.scores, part, weights[thread]);
  });
}

/// Block (x, y): tile x of rows, from the last (which has the most keys), pair y. Chunks of 64 columns of a head.
template <int kChunks, class T, class Block>
MFORMER_HD void attention_forward(Block& block, ForwardShared& shared, const AttentionForward& p) {
  const AttentionSizes& s = p.sizes;
  const int64_t row_count = s.tokens * s.k, tiles = (row_count + kSide - 1) / kSide;
  const RowTile rows(s, block.index.y, tiles - 1 - block.index.x, 0, row_count);
  const auto query = rows_of<const T>(p.query), key = rows_of<const T>(p.key), value = rows_of<const T>(p.value);
  typename Block::template Local<float> rest;
  typename Block::template Local<Sums> sums[kChunks];
  block.each([&](int thread) {
    rest[thread] = rows.seen(s, ScanPart(thread).row, 0) > 0 ? 1.0F : 0.0F;
    MFORMER_UNROLL
    for (int chunk = 0; chunk < kChunks; ++chunk) clear(sums[chunk][thread]);
  });
  for (int64_t tile = rows.last_key_tile(); tile >= 0; --tile) {
    const int64_t first_key = tile * kSide;
    multiply_tile<kChunks>(block, rows, query, s, key, first_key, scale_of(s), tile < rows.last_key_tile(), shared.a,
                           shared.b, shared.scores);
    block.each([&](int thread) {
      load_mask(thread, s, rows.batch, first_key, shared.real);
      if (thread == 0) shared.alive = 0;
    });
    break_sticks(block, shared, s, rows, first_key, rest);
    MFORMER_UNROLL
    for (int chunk = 0; chunk < kChunks; ++chunk) {
      block.each([&](int thread) {
        load_chunk(thread, shared.b, value, rows.batch, rows.head, first_key, s.keys - first_key, s.head_size, chunk);
      });
      block.each([&](int thread) { add_rows(thread, shared.scores, shared.b, sums[chunk][thread]); });
    }
    if (shared.alive == 0) break;
  }
  block.each([&](int thread) {
    MFORMER_UNROLL
    for (int chunk = 0; chunk < kChunks; ++chunk) {
      const int column = chunk * kSide;
      write_rows(thread, sums[chunk][thread], 1.0F, rows_of<T>(p.output).at(rows.batch, rows.first, rows.head) + column,
                 p.output.row, rows.count, static_cast<int>(s.head_size) - column);
    }
  });
}

}  // namespace mformer::kernels::cuda
