#pragma once

#include "kernels/cpu/attention_gradients.h"
#include "kernels/cpu/softmax_block.h"

namespace mformer::kernels::cpu {

/// What the forward pass left: its output, and `unit` [batch · heads, rows] (softmax_tile.h).
template <typename T, typename Sum>
struct SoftmaxResult {
  Strided<const T> output;
  const Sum* unit;
};

/// expected [64]: Σ over a row's weights of weight · gradient of the weight, which is gradient · output.
template <typename T, typename Sum>
void expected_gradients(const Problem<T>& p, const QueryBlock& block, const Strided<const T>& grad,
                        const Strided<const T>& output, Sum* expected) {
  std::fill_n(expected, kTileColumns, Sum(0));
  for (int64_t r = 0; r < block.rows; ++r) {
    const T* a = grad.at(block.batch, block.first + r, block.head);
    const T* b = output.at(block.batch, block.first + r, block.head);
    for (int64_t c = 0; c < p.head_size; ++c) expected[r] += static_cast<Sum>(a[c]) * static_cast<Sum>(b[c]);
  }
}

template <typename T, typename Sum>
void softmax_backward_block(const Problem<T>& p, const QueryBlock& block, const Gradients<T>& grad,
                            const SoftmaxResult<T, Sum>& result, KeySums<Sum>& sums) {
  using Factor = typename Arithmetic<T>::Factor;
  using P = Products<Factor>;
  const auto panels = block_panels(p, block, grad.output);
  Sum *z = scratch<Sum, kScores>(kKeysPerTile * kTileColumns),
      *dz = scratch<Sum, kWeightGradients>(kKeysPerTile * kTileColumns),
      *dq = scratch<Sum, kOutput>(kRowsPerBlock * p.width());
  Sum unit[kTileColumns] = {}, expected[kTileColumns];
  std::copy_n(result.unit + (block.batch * p.heads + block.head) * p.rows() + block.first, block.rows, unit);
  expected_gradients(p, block, grad.output, result.output, expected);
  std::fill_n(dq, block.rows * p.width(), Sum(0));
  for_each_seen_tile(p, block, position_of_first_row(p, block), [&](const KeyTile& tile, const KeyTile& /*next*/) {
    sums.reach(tile.first, tile.first + tile.keys, p.width());
    P::multiply(tile.keys, p.head_size, block.columns, P::left(key_rows(p, block, tile)), panels.queries_transposed,
                Sums<Sum>{z, kTileColumns, false});
    P::multiply(tile.keys, p.head_size, block.columns, P::left(value_rows(p, block, tile)), panels.grads_transposed,
                Sums<Sum>{dz, kTileColumns, false});
    SeenRows seen;
    softmax_gradients(softmax_tile(p, block, p.k, tile, seen, z), unit, expected, dz);
    add_tile_gradients(p, block, tile, panels, z, dz, sums, dq);
  });
  write_rows(block.rows, p.head_size, dq, p.width(), static_cast<Sum>(p.scale),
             grad.query.at(block.batch, block.first, block.head), grad.query.row);
}

}  // namespace mformer::kernels::cpu
