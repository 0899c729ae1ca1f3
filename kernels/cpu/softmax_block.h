#pragma once

#include "kernels/cpu/attention_block.h"
#include "kernels/cpu/softmax_tile.h"

// Blocks of query rows that weigh the keys by softmax, tile by tile from the first key to the last, rescaling what they
// have read when a larger score appears (Milakov and Gimelshein, arXiv 1805.02867).

namespace mformer::kernels::cpu {

/// Visits the block's key tiles from the first key that a row sees to the last: visit(tile, the next one).
template <typename T, typename Visit>
void for_each_seen_tile(const Problem<T>& p, const QueryBlock& block, int64_t first_position, const Visit& visit) {
  const int64_t end = block.last_position + 1;
  const int64_t first_key = p.window > 0 ? std::max<int64_t>(0, first_position - p.window + 1) : 0;
  for (int64_t first = first_key / kKeysPerTile * kKeysPerTile; first < end; first += kKeysPerTile) {
    const int64_t next = std::min(end, first + kKeysPerTile);
    visit(KeyTile{first, next - first}, KeyTile{next, std::min(kKeysPerTile, end - next)});
  }
}

/// The position of the block's first row among the keys.
template <typename T>
int64_t position_of_first_row(const Problem<T>& p, const QueryBlock& block) {
  return p.keys - p.tokens + block.first / p.k;
}

/// Of a tile: the rows that see each key.
struct SeenRows {
  int64_t first[kKeysPerTile], end[kKeysPerTile];
};

/// Fills `end`: the first of the block's rows, of which each token has so many, that is too far from each key. Null
/// where none is.
template <typename T>
const int64_t* window_bounds(const Problem<T>& p, const QueryBlock& block, int64_t rows_per_token, const KeyTile& tile,
                             int64_t* end) {
  if (p.window == 0 || block.last_position - tile.first < p.window) return nullptr;
  const int64_t first_position = p.keys - p.tokens;  // of the first token among the keys
  for (int64_t j = 0; j < tile.keys; ++j) {
    const int64_t row = (tile.first + j + p.window - first_position) * rows_per_token - block.first;
    end[j] = std::clamp<int64_t>(row, 0, block.columns);
  }
  return end;
}

/// The tile of a block whose scores are z.
template <typename T, typename Sum>
SoftmaxTile<Sum> softmax_tile(const Problem<T>& p, const QueryBlock& block, int64_t rows_per_token, const KeyTile& tile,
                              SeenRows& seen, Sum* z) {
  return {tile.keys,
          block.columns,
          causal_bounds(p, block, tile, seen.first),
          window_bounds(p, block, rows_per_token, tile, seen.end),
          p.key_mask == nullptr ? nullptr : p.key_mask + block.batch * p.keys + tile.first,
          static_cast<Sum>(p.scale),
          z};
}

/// row r of `sum` [rows, width] times factor[r].
template <typename Sum>
void scale_rows(int64_t rows, int64_t width, const Sum* factor, Sum* sum) {
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < width; ++c) sum[r * width + c] *= factor[r];
  }
}

/// What the rows of a block have read so far.
template <typename Sum>
class Reading {
 public:
  /// `sum` [rows, width]
  Reading(const QueryBlock& block, int64_t width, Sum* sum) : rows_(block.rows), width_(width), sum_(sum) {
    std::fill_n(largest_, block.columns, static_cast<Sum>(kBelowAllScores));
    std::fill_n(total_, block.columns, Sum(0));
    std::fill_n(sum, rows_ * width, Sum(0));
  }

  void weigh(const SoftmaxTile<Sum>& tile) {
    if (cpu::weigh(tile, {largest_, total_}, factor_)) scale_rows(rows_, width_, factor_, sum_);
  }

  /// Divides by the sums of weights. `unit` [rows], or null.
  void finish(int64_t columns, Sum* unit) {
    cpu::finish(columns, {largest_, total_}, factor_);
    scale_rows(rows_, width_, total_, sum_);
    if (unit != nullptr) std::copy_n(factor_, rows_, unit);
  }

  Sum* sum() { return sum_; }

 private:
  int64_t rows_, width_;
  Sum* sum_;
  Sum largest_[kTileColumns], total_[kTileColumns], factor_[kTileColumns];
};

}  // namespace mformer::kernels::cpu
