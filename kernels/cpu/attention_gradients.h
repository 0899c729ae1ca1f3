#pragma once

#include <ATen/ops/empty.h>

#include <vector>

#include "kernels/cpu/attention_block.h"

// What the backward passes of both kinds of attention share: who sums what in which order.

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

/// Adds what one tile gives to the gradients of its keys and values, and to dq [rows, width], all but for the scale:
/// from its weights, and the gradients dz of its scores.
template <typename T, typename Factor, typename Sum>
void add_tile_gradients(const Problem<T>& p, const QueryBlock& block, const KeyTile& tile,
                        const BlockPanels<Factor>& panels, const Sum* weights, const Sum* dz, const KeySums<Sum>& sums,
                        Sum* dq) {
  using P = Products<Factor>;
  const int64_t width = p.width();
  Factor* rounded = scratch<Factor, kRoundedTile>(kKeysPerTile * kTileColumns);
  multiply_panels<Factor, Sum>(tile.keys, block.rows, p.head_size, P::tile(tile.keys, block.columns, weights, rounded),
                               panels.grads, {sums.value + tile.first * width, width, true});
  multiply_panels<Factor, Sum>(tile.keys, block.rows, p.head_size, P::tile(tile.keys, block.columns, dz, rounded),
                               panels.queries, {sums.key + tile.first * width, width, true});
  Factor* keys = scratch<Factor, kRightRows>(panels_size<Factor>(kKeysPerTile, p.head_size));
  pack_panels<Factor>(tile.keys, p.head_size, key_rows(p, block, tile), keys);
  multiply_panels<Factor, Sum>(block.rows, tile.keys, p.head_size,
                               P::tile_transposed(tile.keys, block.columns, dz, rounded), keys, {dq, width, true});
}

/// The blocks of one task: `part` of `parts` of a pair; visit(block, sums) adds what each gives. `room`: 2 · keys ·
/// width.
template <typename T, typename Sum, typename Visit>
KeySums<Sum> backward_part(const Problem<T>& p, int64_t pair, int64_t part, int64_t parts, Sum* room,
                           const Visit& visit) {
  KeySums<Sum> sums{room, room + p.keys * p.width(), 0, 0};
  for (int64_t i = p.blocks() * part / parts; i < p.blocks() * (part + 1) / parts; ++i) {
    visit(block_at(p, pair, i), sums);
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
template <typename T, typename Visit>
void backward_by_pairs(const Problem<T>& p, const Gradients<T>& grad, const Visit& visit) {
  using Sum = typename Arithmetic<T>::Sum;
  for_each_task(p.pairs(), 7 * p.operations(), [&](int64_t pair) {
    Sum* room = scratch<Sum, kKeySums>(2 * p.keys * p.width());
    const KeySums<Sum> sums = backward_part(p, pair, 0, 1, room, visit);
    for (int64_t tile = 0; tile < p.key_tiles(); ++tile) write_key_gradients(p, pair, tile, &sums, 1, grad);
  });
}

/// `parts` tasks for each pair; `room`: [pairs, parts, 2, keys, width].
template <typename T, typename Sum, typename Visit>
void backward_by_parts(const Problem<T>& p, const Gradients<T>& grad, int64_t parts, Sum* room, const Visit& visit) {
  std::vector<KeySums<Sum>> sums(p.pairs() * parts);
  for_each_task(p.pairs() * parts, 7 * p.operations(), [&](int64_t i) {
    // The last blocks see the most keys: first come the longest tasks.
    const int64_t pair = i % p.pairs(), part = parts - 1 - i / p.pairs(), at = pair * parts + part;
    sums[at] = backward_part(p, pair, part, parts, room + at * 2 * p.keys * p.width(), visit);
  });
  for_each_task(p.pairs() * p.key_tiles(), p.pairs() * parts * p.keys * p.width(), [&](int64_t i) {
    const int64_t pair = i / p.key_tiles();
    write_key_gradients(p, pair, i % p.key_tiles(), sums.data() + pair * parts, parts, grad);
  });
}

/// All blocks of query rows, by visit(block, sums): each writes the gradients of its queries, and adds to sums those of
/// keys and values, which are written here.
template <typename T, typename Visit>
void backward(const Problem<T>& p, const Gradients<T>& grad, const Visit& visit) {
  using Sum = typename Arithmetic<T>::Sum;
  const int64_t parts = parts_per_pair(p);
  if (parts == 1) return backward_by_pairs(p, grad, visit);
  const at::Tensor room = at::empty({p.pairs() * parts * 2 * p.keys * p.width()}, c10::CppTypeToScalarType<Sum>::value);
  backward_by_parts(p, grad, parts, room.mutable_data_ptr<Sum>(), visit);
}

}  // namespace mformer::kernels::cpu
