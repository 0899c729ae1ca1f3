#pragma once

#include "kernels/cpu/stick_breaking_block.h"

namespace mformer::kernels::cpu {

/// What the block's rows read, into `output`.
template <typename T>
void forward_block(const Problem<T>& p, const QueryBlock& block, const Strided<T>& output) {
  using Factor = typename Arithmetic<T>::Factor;
  using Sum = typename Arithmetic<T>::Sum;
  Factor* queries = scratch<Factor, kQueryPanel>(panel_size<Factor>(p.head_size));
  Factor* values = scratch<Factor, kRightRows>(panels_size<Factor>(kKeysPerTile, p.head_size));
  Factor* rounded = scratch<Factor, kRoundedTile>(kKeysPerTile * kTileColumns);
  Sum* weights = scratch<Sum, kScores>(kKeysPerTile * kTileColumns);
  Sum *rest = scratch<Sum, kRest>(kTileColumns), *sum = scratch<Sum, kOutput>(kRowsPerBlock * p.width());
  Products<Factor>::pack_transposed(p.head_size, block.rows, query_rows(p, block), queries);
  whole_sticks(block, rest);
  std::fill_n(sum, block.rows * p.width(), Sum(0));
  for_each_key_tile(block, [&](const KeyTile& tile) {
    prefetch(p.key, block, tile_before(tile), p.head_size);
    prefetch(p.value, block, tile_before(tile), p.head_size);
    const bool some_left = tile_weights<T, Factor, Sum>(p, block, tile, queries, weights, nullptr, rest);
    pack_panels<Factor>(tile.keys, p.head_size, value_rows(p, block, tile), values);
    multiply_panels<Factor, Sum>(block.rows, tile.keys, p.head_size,
                                 Products<Factor>::tile_transposed(tile.keys, block.columns, weights, rounded), values,
                                 {sum, p.width(), true});
    return some_left;
  });
  write_rows(block.rows, p.head_size, sum, p.width(), Sum(1), output.at(block.batch, block.first, block.head),
             output.row);
}

template <typename T>
void forward(const Problem<T>& p, const Strided<T>& output) {
  for_each_task(p.pairs() * p.blocks(), 2 * p.operations(), [&](int64_t i) {
    // The last blocks see the most keys: first come the longest tasks.
    forward_block(p, block_at(p, i / p.blocks(), p.blocks() - 1 - i % p.blocks()), output);
  });
}

}  // namespace mformer::kernels::cpu
