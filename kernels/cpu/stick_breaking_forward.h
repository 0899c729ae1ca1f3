#pragma once

#include <ATen/Parallel.h>

#include <vector>

#include "kernels/cpu/stick_breaking_block.h"

namespace mformer::kernels::cpu {

/// Blocks of so few rows (decoding) wait for memory, not for arithmetic.
inline constexpr int64_t kFewRows = 16;

/// How many heads a task takes. The heads of a key are neighbours in memory: with few rows they are visited together,
/// tile by tile, so that a page is looked up once for all of them. Each head's result is the same either way.
template <typename T>
int64_t heads_per_task(const Problem<T>& p) {
  if (p.rows() > kFewRows || p.batch == 0) return 1;
  const int64_t tasks = (2 * at::get_num_threads() + p.batch - 1) / p.batch;  // of a batch row
  return std::max<int64_t>(1, p.heads / tasks);
}

/// One block on its way from the last key to the first.
template <typename Factor, typename Sum>
struct ForwardState {
  QueryBlock block;
  Factor* queries;  // the right factor of the scores, a panel
  Sum* rest;        // [64]
  Sum* sum;         // [rows, width] what was read so far
  bool some_left;
};

/// `number` tells apart the states that are in use at the same time.
template <typename T, typename Factor = typename Arithmetic<T>::Factor, typename Sum = typename Arithmetic<T>::Sum>
ForwardState<Factor, Sum> begin_block(const Problem<T>& p, const QueryBlock& block, int64_t number, int64_t count) {
  const int64_t panel = panel_size<Factor>(p.head_size), sums = kRowsPerBlock * p.width();
  const ForwardState<Factor, Sum> state{block, scratch<Factor, kQueryPanel>(count * panel) + number * panel,
                                        scratch<Sum, kRest>(count * kTileColumns) + number * kTileColumns,
                                        scratch<Sum, kOutput>(count * sums) + number * sums, true};
  Products<Factor>::pack_transposed(p.head_size, block.rows, query_rows(p, block), state.queries);
  whole_sticks(block, state.rest);
  std::fill_n(state.sum, block.rows * p.width(), Sum(0));
  return state;
}

template <typename T>
void prefetch_rows(const Strided<const T>& from, const QueryBlock& block, const KeyTile& tile, int64_t head_size) {
  for (int64_t key = tile.first; key < tile.first + tile.keys; ++key) {
    const auto* row = reinterpret_cast<const char*>(from.at(block.batch, key, block.head));
    for (int64_t byte = 0; byte < head_size * static_cast<int64_t>(sizeof(T)); byte += 64) {
      __builtin_prefetch(row + byte);
    }
  }
}

/// Asks for the tile after this one while this one is computed: no processor foresees rows that lie far apart.
template <typename T>
void prefetch_next(const Problem<T>& p, const QueryBlock& block, const KeyTile& tile) {
  const int64_t first = std::max<int64_t>(0, tile.first - kKeysPerTile);
  prefetch_rows(p.key, block, {first, tile.first - first}, p.head_size);
  prefetch_rows(p.value, block, {first, tile.first - first}, p.head_size);
}

template <typename T, typename Factor, typename Sum>
void forward_tile(const Problem<T>& p, const KeyTile& tile, ForwardState<Factor, Sum>& state) {
  const QueryBlock& block = state.block;
  Factor* values = scratch<Factor, kRightRows>(panels_size<Factor>(kKeysPerTile, p.head_size));
  Factor* rounded = scratch<Factor, kRoundedTile>(kKeysPerTile * kTileColumns);
  Sum* weights = scratch<Sum, kScores>(kKeysPerTile * kTileColumns);
  prefetch_next(p, block, tile);
  state.some_left = tile_weights<T, Factor, Sum>(p, block, tile, state.queries, weights, nullptr, state.rest);
  pack_panels<Factor>(tile.keys, p.head_size, value_rows(p, block, tile), values);
  multiply_panels<Factor, Sum>(block.rows, tile.keys, p.head_size,
                               Products<Factor>::tile_transposed(tile.keys, block.columns, weights, rounded), values,
                               {state.sum, p.width(), true});
}

/// What blocks of `heads` heads, from the pair (batch row, head) on, read into `output`.
template <typename T>
void forward_blocks(const Problem<T>& p, int64_t pair, int64_t heads, int64_t index, const Strided<T>& output) {
  std::vector<decltype(begin_block(p, QueryBlock{}, 0, 0))> states;
  for (int64_t i = 0; i < heads; ++i) states.push_back(begin_block(p, block_at(p, pair + i, index), i, heads));
  for_each_key_tile(states[0].block, [&](const KeyTile& tile) {
    bool some_left = false;
    for (auto& state : states) {
      if (state.some_left) forward_tile(p, tile, state);
      some_left = some_left || state.some_left;
    }
    return some_left;
  });
  for (const auto& [block, queries, rest, sum, some_left] : states) {
    write_rows(block.rows, p.head_size, sum, p.width(), std::remove_pointer_t<decltype(rest)>(1),
               output.at(block.batch, block.first, block.head), output.row);
  }
}

template <typename T>
void forward(const Problem<T>& p, const Strided<T>& output) {
  const int64_t together = heads_per_task(p), groups = (p.heads + together - 1) / together;
  for_each_task(p.batch * groups * p.blocks(), 2 * p.operations(), [&](int64_t i) {
    const int64_t b = i / p.blocks() / groups, head = i / p.blocks() % groups * together;
    // The last blocks see the most keys: first come the longest tasks.
    const int64_t index = p.blocks() - 1 - i % p.blocks();
    forward_blocks(p, b * p.heads + head, std::min(together, p.heads - head), index, output);
  });
}

}  // namespace mformer::kernels::cpu
