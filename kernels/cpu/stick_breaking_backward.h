#pragma once

#include <vector>

#include "kernels/cpu/stick_breaking_block.h"

namespace mformer::kernels::cpu {

/// Query blocks of one pair (batch row, head) add to the same keys: they are shared out among so many tasks that there
/// are this many in all. Each task has sums of its own, which are added up in order at the end.
inline constexpr int64_t kBackwardTasks = 16;

template <typename T>
int64_t parts_per_pair(const Problem<T>& p) {
  if (p.pairs() == 0) return 1;
  return std::max<int64_t>(1, std::min((kBackwardTasks + p.pairs() - 1) / p.pairs(), p.blocks()));
}

/// Gradients of the output (in) and of the inputs (out).
template <typename T>
struct Gradients {
  Strided<const T> output;
  Strided<T> query, key, value;
};

/// One task's sums, [keys, width] each. Outside of keys [first, end) they are zero, and were never written.
template <typename Sum>
struct KeySums {
  Sum *key, *value;
  int64_t first, end;

  /// Makes [new_first, new_end) part of them.
  void reach(int64_t new_first, int64_t new_end, int64_t width) {
    if (first == end) first = end = new_first;
    for (Sum* sums : {key, value}) {
      if (new_first < first) std::fill(sums + new_first * width, sums + first * width, Sum(0));
      if (new_end > end) std::fill(sums + end * width, sums + new_end * width, Sum(0));
    }
    first = std::min(first, new_first);
    end = std::max(end, new_end);
  }
};

/// Panels that a block multiplies every tile with.
template <typename Factor>
struct BlockPanels {
  const Factor *queries_transposed, *queries, *grads_transposed, *grads;
};

template <typename T>
auto block_panels(const Problem<T>& p, const QueryBlock& block, const Strided<const T>& grad_output) {
  using Factor = typename Arithmetic<T>::Factor;
  const auto query = query_rows(p, block);
  const auto grad = factors<kGradRows>(grad_output.at(block.batch, block.first, block.head), grad_output.row,
                                       block.rows, p.head_size);
  const int64_t transposed = panel_size<Factor>(p.head_size), whole = panels_size<Factor>(block.rows, p.head_size);
  Factor* queries_transposed = scratch<Factor, kQueryPanel>(transposed + whole);
  Factor* grads_transposed = scratch<Factor, kGradPanel>(transposed + whole);
  Factor *queries = queries_transposed + transposed, *grads = grads_transposed + transposed;
  Products<Factor>::pack_transposed(p.head_size, block.rows, query, queries_transposed);
  Products<Factor>::pack_transposed(p.head_size, block.rows, grad, grads_transposed);
  pack_panels<Factor>(block.rows, p.head_size, query, queries);
  pack_panels<Factor>(block.rows, p.head_size, grad, grads);
  return BlockPanels<Factor>{queries_transposed, queries, grads_transposed, grads};
}

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

/// Adds what one tile gives to the gradients of its keys and values, and to dq [rows, width].
template <typename T, typename Factor, typename Sum>
void backward_tile(const Problem<T>& p, const QueryBlock& block, const KeyTile& tile, const BlockPanels<Factor>& panels,
                   const Sum* weights, const Sum* beta, Sum* before, const KeySums<Sum>& sums, Sum* dq) {
  using P = Products<Factor>;
  const int64_t width = p.width();
  Sum* dz = scratch<Sum, kWeightGradients>(kKeysPerTile * kTileColumns);
  Factor* rounded = scratch<Factor, kRoundedTile>(kKeysPerTile * kTileColumns);
  P::multiply(tile.keys, p.head_size, block.columns, P::left(value_rows(p, block, tile)), panels.grads_transposed,
              Sums<Sum>{dz, kTileColumns, false});
  stick_gradients(tile.keys, block.columns, weights, beta, dz, before);
  multiply_panels<Factor, Sum>(tile.keys, block.rows, p.head_size, P::tile(tile.keys, block.columns, weights, rounded),
                               panels.grads, {sums.value + tile.first * width, width, true});
  multiply_panels<Factor, Sum>(tile.keys, block.rows, p.head_size, P::tile(tile.keys, block.columns, dz, rounded),
                               panels.queries, {sums.key + tile.first * width, width, true});
  Factor* keys = scratch<Factor, kRightRows>(panels_size<Factor>(kKeysPerTile, p.head_size));
  pack_panels<Factor>(tile.keys, p.head_size, key_rows(p, block, tile), keys);
  multiply_panels<Factor, Sum>(block.rows, tile.keys, p.head_size,
                               P::tile_transposed(tile.keys, block.columns, dz, rounded), keys, {dq, width, true});
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

/// The blocks of one task: `part` of `parts` of a pair. `room`: 2 · keys · width.
template <typename T, typename Sum>
KeySums<Sum> backward_part(const Problem<T>& p, int64_t pair, int64_t part, int64_t parts, const Gradients<T>& grad,
                           Sum* room) {
  KeySums<Sum> sums{room, room + p.keys * p.width(), 0, 0};
  for (int64_t i = p.blocks() * part / parts; i < p.blocks() * (part + 1) / parts; ++i) {
    backward_block(p, block_at(p, pair, i), grad, sums);
  }
  return sums;
}

/// Adds up the sums of a pair's parts, in order, for one tile of keys, and writes them.
template <typename T, typename Sum>
void write_key_gradients(const Problem<T>& p, int64_t pair, const KeyTile& tile, const KeySums<Sum>* parts,
                         int64_t count, Sum* KeySums<Sum>::*which, double scale, const Strided<T>& to) {
  const int64_t width = p.width();
  Sum* total = scratch<Sum, kScores>(kKeysPerTile * width);
  std::fill_n(total, tile.keys * width, Sum(0));
  for (int64_t part = 0; part < count; ++part) {
    const KeySums<Sum>& sums = parts[part];
    const int64_t first = std::max(sums.first, tile.first), end = std::min(sums.end, tile.first + tile.keys);
    const Sum* more = sums.*which + tile.first * width;
    for (int64_t i = (first - tile.first) * width; i < (end - tile.first) * width; ++i) total[i] += more[i];
  }
  write_rows(tile.keys, p.head_size, total, width, static_cast<Sum>(scale),
             to.at(pair / p.heads, tile.first, pair % p.heads), to.row);
}

template <typename T, typename Sum>
void write_key_gradients(const Problem<T>& p, int64_t pair, int64_t tile, const KeySums<Sum>* parts, int64_t count,
                         const Gradients<T>& grad) {
  const int64_t first = tile * kKeysPerTile;
  const KeyTile keys{first, std::min(kKeysPerTile, p.keys - first)};
  write_key_gradients(p, pair, keys, parts, count, &KeySums<Sum>::key, p.scale, grad.key);
  write_key_gradients(p, pair, keys, parts, count, &KeySums<Sum>::value, 1.0, grad.value);
}

/// A task for each pair, which needs no room beyond its thread's.
template <typename T>
void backward_by_pairs(const Problem<T>& p, const Gradients<T>& grad) {
  using Sum = typename Arithmetic<T>::Sum;
  for_each_task(p.pairs(), 7 * p.operations(), [&](int64_t pair) {
    Sum* room = scratch<Sum, kKeySums>(2 * p.keys * p.width());
    const KeySums<Sum> sums = backward_part(p, pair, 0, 1, grad, room);
    for (int64_t tile = 0; tile < p.key_tiles(); ++tile) write_key_gradients(p, pair, tile, &sums, 1, grad);
  });
}

/// `parts` tasks for each pair; `room`: [pairs, parts, 2, keys, width].
template <typename T, typename Sum>
void backward_by_parts(const Problem<T>& p, const Gradients<T>& grad, int64_t parts, Sum* room) {
  std::vector<KeySums<Sum>> sums(p.pairs() * parts);
  for_each_task(p.pairs() * parts, 7 * p.operations(), [&](int64_t i) {
    // The last blocks see the most keys: first come the longest tasks.
    const int64_t pair = i % p.pairs(), part = parts - 1 - i / p.pairs(), at = pair * parts + part;
    sums[at] = backward_part(p, pair, part, parts, grad, room + at * 2 * p.keys * p.width());
  });
  for_each_task(p.pairs() * p.key_tiles(), p.pairs() * parts * p.keys * p.width(), [&](int64_t i) {
    const int64_t pair = i / p.key_tiles();
    write_key_gradients(p, pair, i % p.key_tiles(), sums.data() + pair * parts, parts, grad);
  });
}

}  // namespace mformer::kernels::cpu
