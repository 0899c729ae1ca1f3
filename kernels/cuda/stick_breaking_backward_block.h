#pragma once

#include "kernels/cuda/stick_breaking_block.h"

// The backward pass, which breaks the sticks once more. With e_j what is expected of the keys before j if the stick
// comes to them, e_{j+1} = e_j + β_j (dw_j − e_j), the gradient of a score is dz_j = w_j (1 − β_j) (dw_j − e_j).
// The first launch has a block for each tile of rows: from the last key to the first it breaks the sticks, then back it
// adds up the gradient of its queries. The second has one for each tile of keys, and meets the rows in their order.

namespace mformer::kernels::cuda {

struct BackwardShared {
  Tile a, b, scores, gradients;
  float passed[kParts][kSide];    // what a part of a row leaves of the stick
  float expected[kParts][kSide];  // e behind the part, if it is 0 before
  bool real[kSide];
  int alive;
};

template <class T>
struct BackwardTensors {
  RowsOf<const T> query, key, value, grad;
  MFORMER_HD explicit BackwardTensors(const AttentionBackward& p)
      : query(rows_of<const T>(p.query)),
        key(rows_of<const T>(p.key)),
        value(rows_of<const T>(p.value)),
        grad(rows_of<const T>(p.grad_output)) {}
};

/// Where p.rest and p.expected keep what belongs to the first row of a tile.
MFORMER_HD int64_t state_at(const AttentionBackward& p, int64_t pair, int64_t key_tile, int64_t row_tile) {
  return ((pair * p.key_tiles() + key_tile) * p.row_tiles() + row_tile) * kSide;
}

/// The score of a key that the row does not see: it takes nothing of the stick.
constexpr float kHidden = -INFINITY;
MFORMER_HD Break break_of(float z) {
  return z == kHidden ? Break{0.0F, 1.0F} : break_at(z);
}

/// Scores of hidden keys become kHidden in place, and each part says what it leaves of the stick. Scores stay scores:
/// 1 − β computed from a β near 1 would lose what the accurate `pass` of the forward pass has.
template <class Block>
MFORMER_HD void hide_scores(Block& block, BackwardShared& shared, const AttentionSizes& s, const RowTile& rows,
                          int64_t first_key) {
  block.each([&](int thread) {
    const ScanPart part(thread);
    PartValues values = read_part(shared.scores, part);
    const int seen = rows.seen(s, part.row, first_key) - part.first;
    float left = 1;
    MFORMER_UNROLL
    for (int j = kKeysPerPart - 1; j >= 0; --j) {
      if (j >= seen || !shared.real[part.first + j]) values.x[j] = kHidden;
      left = left_of(left * break_of(values.x[j]).pass);
    }
    shared.passed[part.part][part.row] = left;
    write_part(shared.scores, part, values);
  });
}

/// From z (scores) and dw (gradients) to w (scores) and dz (gradients). `rest` is what is left of the stick when it comes to the
/// tile, `expected` e before it, which moves on behind it.
template <class Block>
MFORMER_HD void find_gradients(Block& block, BackwardShared& shared, typename Block::template Local<float>& rest,
                               typename Block::template Local<float>& expected) {
  block.each([&](int thread) {
    const ScanPart part(thread);
    const PartValues z = read_part(shared.scores, part), dw = read_part(shared.gradients, part);
    float e = 0;
    MFORMER_UNROLL
    for (int j = 0; j < kKeysPerPart; ++j) e += break_of(z.x[j]).beta * (dw.x[j] - e);
    shared.expected[part.part][part.row] = e;
  });
  block.each([&](int thread) {
    const ScanPart part(thread);
    PartValues values = read_part(shared.scores, part), dw = read_part(shared.gradients, part);
    PartValues pass;
    float left = rest[thread], e = expected[thread], e_here = 0;
    for (int later = kParts - 1; later > part.part; --later) left = left_of(left * shared.passed[later][part.row]);
    for (int i = 0; i < kParts; ++i) {
      if (i == part.part) e_here = e;
      e = shared.passed[i][part.row] * e + shared.expected[i][part.row];
    }
    expected[thread] = e;
    MFORMER_UNROLL
    for (int j = 0; j < kKeysPerPart; ++j) {
      const float above = dw.x[j] - e_here;
      const Break at = break_of(values.x[j]);
      values.x[j] = at.beta;
      pass.x[j] = at.pass;
      dw.x[j] = at.pass * above;
      e_here += values.x[j] * above;
    }
    MFORMER_UNROLL
    for (int j = kKeysPerPart - 1; j >= 0; --j) {
      const float beta = values.x[j];
      values.x[j] = beta * left;
      dw.x[j] *= values.x[j];
      left = left_of(left * pass.x[j]);
    }
    write_part(shared.scores, part, values);
    write_part(shared.gradients, part, dw);
  });
}

/// z and dw of a tile, w and dz of a tile.
template <int kChunks, class T, class Block>
MFORMER_HD void tile_gradients(Block& block, BackwardShared& shared, const AttentionSizes& s,
                               const BackwardTensors<T>& in, const RowTile& rows, int64_t first_key,
                               typename Block::template Local<float>& rest,
                               typename Block::template Local<float>& expected) {
  multiply_tile<kChunks>(block, rows, in.query, s, in.key, first_key, scale_of(s), false, shared.a, shared.b,
                         shared.scores);
  block.each([&](int thread) { load_mask(thread, s, rows.batch, first_key, shared.real); });
  hide_scores(block, shared, s, rows, first_key);
  multiply_tile<kChunks>(block, rows, in.grad, s, in.value, first_key, 1.0F, false, shared.a, shared.b,
                         shared.gradients);
  find_gradients(block, shared, rest, expected);
}

/// Breaks the sticks of a tile of rows and writes down what is left of them at each tile of keys. Returns the first
/// tile that any reached.
template <int kChunks, class T, class Block>
MFORMER_HD int64_t break_rows(Block& block, BackwardShared& shared, const AttentionBackward& p,
                              const BackwardTensors<T>& in, const RowTile& rows, int64_t row_tile) {
  const AttentionSizes& s = p.sizes;
  typename Block::template Local<float> rest;
  block.each([&](int thread) { rest[thread] = rows.seen(s, ScanPart(thread).row, 0) > 0 ? 1.0F : 0.0F; });
  int64_t tile = rows.last_key_tile();
  for (;; --tile) {
    multiply_tile<kChunks>(block, rows, in.query, s, in.key, tile * kSide, scale_of(s), tile < rows.last_key_tile(),
                           shared.a, shared.b, shared.scores);
    block.each([&](int thread) {
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
MFORMER_HD void attention_backward_query(Block& block, BackwardShared& shared, const AttentionBackward& p) {
  const AttentionSizes& s = p.sizes;
  const int64_t row_tile = p.row_tiles() - 1 - block.index.x;
  const RowTile rows(s, block.index.y, row_tile, p.first_row, p.first_row + p.rows);
  const BackwardTensors<T> in(p);
  const int64_t first_tile = break_rows<kChunks, T>(block, shared, p, in, rows, row_tile);
  typename Block::template Local<float> rest, expected;
  typename Block::template Local<Sums> sums[kChunks];
  block.each([&](int thread) {
    expected[thread] = 0;
    if (thread == 0) p.first_tile[block.index.y * p.row_tiles() + row_tile] = static_cast<int32_t>(first_tile);
    MFORMER_UNROLL
    for (int chunk = 0; chunk < kChunks; ++chunk) clear(sums[chunk][thread]);
  });
  for (int64_t tile = first_tile; tile <= rows.last_key_tile(); ++tile) {
    block.each([&](int thread) {
      const ScanPart part(thread);
      const int64_t at = state_at(p, block.index.y, tile, row_tile) + part.row;
      rest[thread] = p.rest[at];
      if (part.part == 0) p.expected[at] = expected[thread];
    });
    tile_gradients<kChunks, T>(block, shared, s, in, rows, tile * kSide, rest, expected);
    MFORMER_UNROLL
    for (int chunk = 0; chunk < kChunks; ++chunk) {
      block.each([&](int thread) {
        load_chunk(thread, shared.b, in.key, rows.batch, rows.head, tile * kSide, s.keys - tile * kSide, s.head_size,
                   chunk);
      });
      block.each([&](int thread) { add_rows(thread, shared.gradients, shared.b, sums[chunk][thread]); });
    }
  }
  block.each([&](int thread) {
    MFORMER_UNROLL
    for (int chunk = 0; chunk < kChunks; ++chunk) {
      const int column = chunk * kSide;
      write_rows(thread, sums[chunk][thread], scale_of(s),
                 rows_of<T>(p.query_gradient).at(rows.batch, rows.first, rows.head) + column, p.query_gradient.row,
                 rows.count, static_cast<int>(s.head_size) - column);
    }
  });
}

/// Adds sums of add_columns (key 4 g + i) times `scale` to [count keys, width].
MFORMER_HD void add_keys(int thread, const Sums& sums, float scale, float* to, int64_t stride, int64_t count,
                         int64_t width) {
  MFORMER_UNROLL
  for (int i = 0; i < 4; ++i) {
    MFORMER_UNROLL
    for (int c = 0; c < 4; ++c) {
      const int key = 4 * row_group(thread) + i, column = 4 * column_group(thread) + c;
      if (key < count && column < width) to[key * stride + column] += sums.x[i][c] * scale;
    }
  }
}

/// Block (x, y): tile x of keys, pair y.
template <int kChunks, class T, class Block>
MFORMER_HD void attention_backward_keys(Block& block, BackwardShared& shared, const AttentionBackward& p) {
  const AttentionSizes& s = p.sizes;
  const int64_t tile = block.index.x, first_key = tile * kSide, pair = block.index.y;
  const BackwardTensors<T> in(p);
  typename Block::template Local<float> rest, expected;
  typename Block::template Local<Sums> key_sums[kChunks], value_sums[kChunks];
  block.each([&](int thread) {
    MFORMER_UNROLL
    for (int chunk = 0; chunk < kChunks; ++chunk) {
      clear(key_sums[chunk][thread]);
      clear(value_sums[chunk][thread]);
    }
  });
  for (int64_t row_tile = 0; row_tile < p.row_tiles(); ++row_tile) {
    const RowTile rows(s, pair, row_tile, p.first_row, p.first_row + p.rows);
    if (rows.last_key_tile() < tile || p.first_tile[pair * p.row_tiles() + row_tile] > tile) continue;
    block.each([&](int thread) {
      const int64_t at = state_at(p, pair, tile, row_tile) + ScanPart(thread).row;
      rest[thread] = p.rest[at];
      expected[thread] = p.expected[at];
    });
    tile_gradients<kChunks, T>(block, shared, s, in, rows, first_key, rest, expected);
    MFORMER_UNROLL
    for (int chunk = 0; chunk < kChunks; ++chunk) {
      block.each([&](int thread) {
        load_chunk(thread, shared.a, in.grad, rows.batch, rows.head, rows.first, rows.count, s.head_size, chunk);
        load_chunk(thread, shared.b, in.query, rows.batch, rows.head, rows.first, rows.count, s.head_size, chunk);
      });
      block.each([&](int thread) {
        add_columns(thread, shared.scores, shared.a, value_sums[chunk][thread]);
        add_columns(thread, shared.gradients, shared.b, key_sums[chunk][thread]);
      });
    }
  }
  const int64_t stride = s.heads * s.head_size;
  const int64_t at = ((pair / s.heads * s.keys + first_key) * s.heads + pair % s.heads) * s.head_size;
  block.each([&](int thread) {
    MFORMER_UNROLL
    for (int chunk = 0; chunk < kChunks; ++chunk) {
      const int64_t column = chunk * kSide, count = s.keys - first_key, width = s.head_size - column;
      add_keys(thread, key_sums[chunk][thread], scale_of(s), p.key_sums + at + column, stride, count, width);
      add_keys(thread, value_sums[chunk][thread], 1.0F, p.value_sums + at + column, stride, count, width);
    }
  });
}

}  // namespace mformer::kernels::cuda
