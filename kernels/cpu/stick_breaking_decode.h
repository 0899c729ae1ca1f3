#pragma once

#include "kernels/cpu/attention_decode.h"
#include "kernels/cpu/stick_breaking_block.h"

namespace mformer::kernels::cpu {

template <typename T>
void decode_heads(const Problem<T>& p, int64_t batch, int64_t head, int64_t heads, const Strided<T>& output) {
  using Factor = typename Arithmetic<T>::Factor;
  using Sum = typename Arithmetic<T>::Sum;
  const QueryBlock block{batch, head, 0, heads * p.k, whole_vectors(heads * p.k), p.keys - 1};
  const Factor* panels = head_panels(p, block);
  Sum *rest = scratch<Sum, kRest>(kTileColumns), *sum = scratch<Sum, kOutput>(block.rows * p.width());
  Sum* weights = scratch<Sum, kScores>(kKeysPerTile * kTileColumns);
  whole_sticks(block, rest);
  std::fill_n(sum, block.rows * p.width(), Sum(0));
  for_each_key_tile(block, [&](const KeyTile& tile) {
    head_scores(p, block, tile, panels, weights);
    const bool some_left = break_tile<T, Sum>(p, block, tile, weights, nullptr, rest);
    read_values<T, Factor, Sum>(p, block, tile, tile_before(tile), weights, sum);
    return some_left;
  });
  write_heads(p, batch, head, heads, sum, output);
}

template <typename T>
void decode(const Problem<T>& p, const Strided<T>& output) {
  for_each_heads(p, [&](int64_t batch, int64_t head, int64_t heads) { decode_heads(p, batch, head, heads, output); });
}

}  // namespace mformer::kernels::cpu
