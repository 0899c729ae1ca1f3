#pragma once

#include "kernels/cuda/stick_breaking_block.h"

// The backward pass, which breaks the sticks once more. With e_j what is expected of the keys before j if the stick
// comes to them, e_{j+1} = e_j + β_j (dw_j − e_j), the gradient of a score is dz_j = w_j (1 − β_j) (dw_j − e_j). The
// first launch has a block for each tile of rows (stick_breaking_query_block.h): from the last key to the first it
// breaks the sticks, then back it adds up the gradient of its queries. The second has one for each tile of keys
// (stick_breaking_keys_block.h), and meets the rows in their order.

namespace mformer::kernels::cuda {

/// Scores and gradients become weights and gradients of scores in their places; of bfloat16 as halves.
template <class T>
struct BackwardTiles {
  static constexpr bool early = false;
  Tile a[1], b[1], scores, gradients;
  MFORMER_HD Tile& weights() { return scores; }
  MFORMER_HD Tile& score_gradients() { return gradients; }
};
template <>
struct BackwardTiles<BFloat16> {
  static constexpr bool early = true;
  HalfTile a[2], b[2];
  union {
    Tile scores;
    HalfTile half_weights;
  };
  union {
    Tile gradients;
    HalfTile half_gradients;
  };
  MFORMER_HD HalfTile& weights() { return half_weights; }
  MFORMER_HD HalfTile& score_gradients() { return half_gradients; }
};

template <class T>
struct BackwardShared : BackwardTiles<T> {
  float passed[kParts][kSide];    // what a part of a row leaves of the stick
  float expected[kParts][kSide];  // e behind the part, if it is 0 before
  bool real[kSide];
  int alive;
};

template <class T>
struct BackwardTensors {
  RowsOf<const T> query, key, value, grad;
  MFORMER_HD explicit BackwardTensors(const AttentionBackward& p)
      : query(rows_of<const T>(p.query, p.sizes.head_size)),
        key(rows_of<const T>(p.key, p.sizes.head_size)),
        value(rows_of<const T>(p.value, p.sizes.head_size)),
        grad(rows_of<const T>(p.grad_output, p.sizes.head_size)) {}
};

/// Where p.rest and p.expected keep what belongs to the first row of a tile.
MFORMER_HD int64_t state_at(const AttentionBackward& p, int64_t pair, int64_t key_tile, int64_t row_tile) {
  return ((pair * p.key_tiles() + key_tile) * p.row_tiles() + row_tile) * kSide;
}

/// The score of a key that the row does not see: it takes nothing of the stick.
constexpr float kHidden = -INFINITY;
template <class T>
MFORMER_HD Break break_of(float z) {
  return z == kHidden ? Break{0.0F, 1.0F} : break_at<T>(z);
}

/// Scores of hidden keys become kHidden in place, and each part says what it leaves of the stick. Scores stay scores:
/// 1 − β computed from a β near 1 would lose what the accurate `pass` of the forward pass has.
template <class T, class Block>
MFORMER_HD void hide_scores(Block& block, BackwardShared<T>& shared, const AttentionSizes& s, const RowTile& rows,
                            int64_t first_key) {
  block.each([&](int thread) {
    const ScanPart part(thread);
    PartValues values = read_part(shared.scores, part);
    const int seen = rows.seen(s, part.row, first_key) - part.first;
    float left = 1;
    MFORMER_UNROLL
    for (int j = kKeysPerPart - 1; j >= 0; --j) {
      if (j >= seen || !shared.real[part.first + j]) values.x[j] = kHidden;
      left = left_of(left * break_of<T>(values.x[j]).pass);
    }
    shared.passed[part.part][part.row] = left;
    write_part(shared.scores, part, values);
  });
}

/// From z (scores) and dw (gradients) to w (scores) and dz (gradients). `rest` is what is left of the stick when it
/// comes to the tile, `expected` e before it, which moves on behind it.
template <class T, class Block>
MFORMER_HD void find_gradients(Block& block, BackwardShared<T>& shared, typename Block::template Local<float>& rest,
                               typename Block::template Local<float>& expected) {
  block.each([&](int thread) {
    const ScanPart part(thread);
    const PartValues z = read_part(shared.scores, part), dw = read_part(shared.gradients, part);
    float e = 0;
    MFORMER_UNROLL
    for (int j = 0; j < kKeysPerPart; ++j) e += break_of<T>(z.x[j]).beta * (dw.x[j] - e);
    shared.expected[part.part][part.row] = e;
  });
  typename Block::template Local<HalfPart> weights, gradients;  // of bfloat16
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
      const Break at = break_of<T>(values.x[j]);
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
    if constexpr (std::is_same_v<T, BFloat16>) {
      weights[thread] = halved(values);
      gradients[thread] = halved(dw);
    } else {
      write_part(shared.weights(), part, values);
      write_part(shared.score_gradients(), part, dw);
    }
  });
  if constexpr (std::is_same_v<T, BFloat16>) {  // halves lie where others'
                                                // scores lay
    block.each([&](int thread) {
      write_part(shared.weights(), ScanPart(thread), weights[thread]);
      write_part(shared.score_gradients(), ScanPart(thread), gradients[thread]);
    });
  }
}

/// The chunks of two tensors that the products of a block take, pair after pair: begin(thread, step, a, b) begins to
/// read those of a step of a tile; what follows a tile's last step is the next tile's first. Of float32 each pair is
/// read when it is its turn; of bfloat16 the next comes while one is multiplied.
template <class T, class Begin>
struct Pairs {
  static constexpr bool early = BackwardTiles<T>::early;
  BackwardTiles<T>& tiles;
  const Begin& begin;
  int turn = 0;

  MFORMER_HD TileOf<T>& a() const { return tiles.a[turn]; }
  MFORMER_HD TileOf<T>& b() const { return tiles.b[turn]; }
  /// Phases before the first step. What a loop that ended early had begun is over first.
  template <class Block>
  MFORMER_HD void start(Block& block) const {
    if constexpr (early) {
      block.each([&](int thread) { block.wait_for_copies(thread); });
      block.each([&](int thread) { begin(thread, 0, tiles.a[0], tiles.b[0]); });
    }
  }
  /// When this phase is over, the pair is there.
  template <class Block>
  MFORMER_HD void arrive(Block& block, int thread, int step) const {
    if constexpr (early) {
      block.wait_for_copies(thread);
    } else {
      begin(thread, step, tiles.a[0], tiles.b[0]);
    }
  }
  /// While the pair is multiplied.
  MFORMER_HD void begin_next(int thread, int step) const {
    if constexpr (early) begin(thread, step + 1, tiles.a[1 - turn], tiles.b[1 - turn]);
  }
  MFORMER_HD void pass() {
    if constexpr (early) turn = 1 - turn;
  }
};

/// scores = scale · a · bᵀ, over the pairs of kChunks steps. `first(thread)` is run beside the first product.
template <int kChunks, class T, class Block, class Begin, class First>
MFORMER_HD void multiply_tile(Block& block, Pairs<T, Begin>& pairs, int step, int64_t head_size, float scale,
                              Tile& scores, const First& first) {
  typename Block::template Local<Sums> sums;
  for (int chunk = 0; chunk < kChunks; ++chunk) {
    block.each([&](int thread) { pairs.arrive(block, thread, step + chunk); });
    block.each_warp([&](auto& warp) {
      warp.lanes([&](int thread) {
        pairs.begin_next(thread, step + chunk);
        if (chunk > 0) return;
        clear(sums[thread]);
        first(thread);
      });
      multiply_rows(warp, pairs.a(), pairs.b(), depth_of<T>(head_size, chunk), sums);
      warp.lanes([&](int thread) {
        if (chunk == kChunks - 1) store_rows<T>(thread, sums[thread], scale, scores);
      });
    });
    pairs.pass();
  }
}

/// z and dw of a tile, w and dz of a tile, by the steps 0 … 2 kChunks − 1: queries and keys, gradients and values.
template <int kChunks, class T, class Block, class Begin>
MFORMER_HD void tile_gradients(Block& block, BackwardShared<T>& shared, Pairs<T, Begin>& pairs, const AttentionSizes& s,
                               const RowTile& rows, int64_t first_key, typename Block::template Local<float>& rest,
                               typename Block::template Local<float>& expected) {
  multiply_tile<kChunks>(block, pairs, 0, s.head_size, scale_of(s), shared.scores,
                         [&](int thread) { load_mask(thread, s, rows.batch, first_key, shared.real); });
  hide_scores(block, shared, s, rows, first_key);
  multiply_tile<kChunks>(block, pairs, kChunks, s.head_size, 1.0F, shared.gradients, [](int) {});
  find_gradients(block, shared, rest, expected);
}

}  // namespace mformer::kernels::cuda
