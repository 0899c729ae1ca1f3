#pragma once

#include "kernels/cpu/attention_block.h"
#include "kernels/cpu/stick_breaking_tile.h"

// Blocks of query rows that break their sticks, tile by tile from the last key to the first.

namespace mformer::kernels::cpu {

/// The tile that is visited after this one; without keys where there is none.
inline KeyTile tile_before(const KeyTile& tile) {
  return {std::max<int64_t>(0, tile.first - kKeysPerTile), std::min(kKeysPerTile, tile.first)};
}

/// Visits the block's key tiles from the last key to the first; `visit` returns false when no stick has anything left.
template <typename Visit>
void for_each_key_tile(const QueryBlock& block, const Visit& visit) {
  for (int64_t end = block.last_position + 1; end > 0;) {
    const int64_t first = (end - 1) / kKeysPerTile * kKeysPerTile;
    if (!visit(KeyTile{first, end - first})) return;
    end = first;
  }
}

/// What is left of the block's sticks at first, `rest` [64]: all of each row's, nothing of the columns without a row.
template <typename Sum>
void whole_sticks(const QueryBlock& block, Sum* rest) {
  std::fill_n(rest, block.rows, Sum(1));
  std::fill(rest + block.rows, rest + kTileColumns, Sum(0));
}

/// Turns the tile's scores z into attention weights, and keeps β in `beta` unless it is null. False when no stick has
/// anything left.
template <typename T, typename Sum>
bool break_tile(const Problem<T>& p, const QueryBlock& block, const KeyTile& tile, Sum* z, Sum* beta, Sum* rest) {
  int64_t first_row[kKeysPerTile];
  const bool* mask = p.key_mask == nullptr ? nullptr : p.key_mask + block.batch * p.keys + tile.first;
  return break_sticks(StickTile<Sum>{tile.keys, block.columns, causal_bounds(p, block, tile, first_row), mask,
                                     static_cast<Sum>(p.scale), z, rest},
                      beta);
}

/// The same with the scores computed first.
template <typename T, typename Factor, typename Sum>
bool tile_weights(const Problem<T>& p, const QueryBlock& block, const KeyTile& tile, const Factor* queries, Sum* z,
                  Sum* beta, Sum* rest) {
  Products<Factor>::multiply(tile.keys, p.head_size, block.columns, Products<Factor>::left(key_rows(p, block, tile)),
                             queries, Sums<Sum>{z, kTileColumns, false});
  return break_tile(p, block, tile, z, beta, rest);
}

}  // namespace mformer::kernels::cpu
