#pragma once

#include "kernels/cpu/attention_gradients.h"
#include "kernels/cpu/stick_breaking_block.h"

namespace mformer::kernels::cpu {

/// Weights and β of a block, tile after tile as they were broken, [64, 64] each: those of the last keys come first.
template <typename Sum>
struct BrokenSticks {
  Sum *weights, *beta;
  static int64_t at(const QueryBlock& block, const KeyTile& tile) {
    return (block.last_position / kKeysPerTile - tile.first / kKeysPerTile) * kKeysPerTile * kTileColumns;
  }
};

/// Breaks the block's sticks once more. Returns the first key that any of them reached.
template <typename T, typename Factor, typename Sum>
int64_t break_block(const Problem<T>& p, const QueryBlock& block, const Factor* queries,
                    const BrokenSticks<Sum>& sticks) {
  Sum* rest = scratch<Sum, kRest>(kTileColumns);
  whole_sticks(block, rest);
  int64_t first_seen = block.last_position + 1;
  for_each_key_tile(block, [&](const KeyTile& tile) {
    first_seen = tile.first;
    const int64_t at = sticks.at(block, tile);
    return tile_weights<T, Factor, Sum>(p, block, tile, queries, sticks.weights + at, sticks.beta + at, rest);
  });
  return first_seen;
}

/// Adds what one tile gives to the gradients.
template <typename T, typename Factor, typename Sum>
void backward_tile(const Problem<T>& p, const QueryBlock& block, const KeyTile& tile, const BlockPanels<Factor>& panels,
                   const Sum* weights, const Sum* beta, Sum* before, const KeySums<Sum>& sums, Sum* dq) {
  using P = Products<Factor>;
  Sum* dz = scratch<Sum, kWeightGradients>(kKeysPerTile * kTileColumns);
  P::multiply(tile.keys, p.head_size, block.columns, P::left(value_rows(p, block, tile)), panels.grads_transposed,
              Sums<Sum>{dz, kTileColumns, false});
  stick_gradients(tile.keys, block.columns, weights, beta, dz, before);
  add_tile_gradients(p, block, tile, panels, weights, dz, sums, dq);
}

/// Two passes over the keys: from the last to the first to break the sticks again, then back for the gradients.
template <typename T, typename Sum>
void backward_block(const Problem<T>& p, const QueryBlock& block, const Gradients<T>& grad, KeySums<Sum>& sums) {
  const auto panels = block_panels(p, block, grad.output);
  const int64_t room = (p.keys + kKeysPerTile) * kTileColumns;
  const BrokenSticks<Sum> sticks{scratch<Sum, kScores>(room), scratch<Sum, kBeta>(room)};
  Sum *before = scratch<Sum, kBefore>(kTileColumns), *dq = scratch<Sum, kOutput>(kRowsPerBlock * p.width());
  std::fill_n(before, kTileColumns, Sum(0));
  std::fill_n(dq, block.rows * p.width(), Sum(0));
  const int64_t first_seen = break_block(p, block, panels.queries_transposed, sticks), end = block.last_position + 1;
  sums.reach(first_seen, end, p.width());
  for (int64_t first = first_seen; first < end; first += kKeysPerTile) {
    const KeyTile tile{first, std::min(kKeysPerTile, end - first)};
    const int64_t at = sticks.at(block, tile);
    backward_tile(p, block, tile, panels, sticks.weights + at, sticks.beta + at, before, sums, dq);
  }
  write_rows(block.rows, p.head_size, dq, p.width(), static_cast<Sum>(p.scale),
             grad.query.at(block.batch, block.first, block.head), grad.query.row);
}

}  // namespace mformer::kernels::cpu
