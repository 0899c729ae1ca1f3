#pragma once

#include <ATen/Parallel.h>

#include "kernels/cpu/attention_block.h"

// Decoding: one token a batch row, so few rows a head that a vector of the tile's loop would be nearly empty, and that
// reading keys and values takes longer than multiplying them. So a task takes several heads together, as the rows of
// one block; each head's keys are multiplied with its own rows only.

namespace mformer::kernels::cpu {

/// One vector of rows: with more heads than fit into it every product would grow by a vector.
inline constexpr int64_t kDecodingRows = 16;

template <typename T>
bool is_decoding(const Problem<T>& p) {
  return p.tokens == 1 && p.k > 0 && p.k <= kDecodingRows && p.batch > 0;
}

/// As many heads as fit, but no fewer tasks than threads. A head's result is the same in any company.
template <typename T>
int64_t heads_together(const Problem<T>& p) {
  const int64_t tasks = (at::get_num_threads() + p.batch - 1) / p.batch;  // of a batch row
  return std::clamp<int64_t>((p.heads + tasks - 1) / tasks, 1, kDecodingRows / p.k);
}

/// A panel for each head, with its queries in the columns of its rows and zeros in the others'.
template <typename T>
const auto* head_panels(const Problem<T>& p, const QueryBlock& block) {
  using Factor = typename Arithmetic<T>::Factor;
  const int64_t heads = block.rows / p.k, size = panel_size<Factor>(p.head_size);
  Factor* rows = scratch<Factor, kGradRows>(block.rows * p.head_size);
  Factor* panels = scratch<Factor, kQueryPanel>(heads * size);
  for (int64_t h = 0; h < heads; ++h) {
    std::fill_n(rows, block.rows * p.head_size, Factor(0));
    for (int64_t i = 0; i < p.k; ++i) {
      std::copy_n(p.query.at(block.batch, i, block.head + h), p.head_size, rows + (h * p.k + i) * p.head_size);
    }
    Products<Factor>::pack_transposed(p.head_size, block.rows, {rows, p.head_size}, panels + h * size);
  }
  return panels;
}

/// z [keys, rows] of the tile, head after head.
template <typename T, typename Factor, typename Sum>
void head_scores(const Problem<T>& p, QueryBlock block, const KeyTile& tile, const Factor* panels, Sum* z) {
  const int64_t heads = block.rows / p.k;
  for (int64_t h = 0; h < heads; ++h, ++block.head) {
    prefetch(p.value, block, tile, p.head_size);
    Products<Factor>::multiply(tile.keys, p.head_size, block.columns, Products<Factor>::left(key_rows(p, block, tile)),
                               panels + h * panel_size<Factor>(p.head_size), Sums<Sum>{z, kTileColumns, h > 0});
  }
}

/// Adds what each head reads from the tile to its rows of `sum` [rows, width]; asks for the keys of `next`.
template <typename T, typename Factor, typename Sum>
void read_values(const Problem<T>& p, QueryBlock block, const KeyTile& tile, const KeyTile& next, const Sum* weights,
                 Sum* sum) {
  Factor* rounded = scratch<Factor, kRoundedTile>(kKeysPerTile * kTileColumns);
  Factor* values = scratch<Factor, kRightRows>(panels_size<Factor>(kKeysPerTile, p.head_size));
  LeftFactor<Factor> left = Products<Factor>::tile_transposed(tile.keys, block.columns, weights, rounded);
  for (int64_t r = 0; r < block.rows; r += p.k, ++block.head) {
    prefetch(p.key, block, next, p.head_size);
    pack_panels<Factor>(tile.keys, p.head_size, value_rows(p, block, tile), values);
    multiply_panels<Factor, Sum>(p.k, tile.keys, p.head_size, left, values, {sum + r * p.width(), p.width(), true});
    left.data += p.k * left.row;
  }
}

/// Writes the sums of `heads` heads.
template <typename T, typename Sum>
void write_heads(const Problem<T>& p, int64_t batch, int64_t head, int64_t heads, const Sum* sum,
                 const Strided<T>& output) {
  for (int64_t i = 0; i < heads; ++i) {
    write_rows(p.k, p.head_size, sum + i * p.k * p.width(), p.width(), Sum(1), output.at(batch, 0, head + i),
               output.row);
  }
}

/// Calls visit(batch row, first head, heads) for all heads, those together that a task takes.
template <typename T, typename Visit>
void for_each_heads(const Problem<T>& p, const Visit& visit) {
  const int64_t together = heads_together(p), groups = (p.heads + together - 1) / together;
  for_each_task(p.batch * groups, 2 * p.operations(), [&](int64_t i) {
    const int64_t head = i % groups * together;
    visit(i / groups, head, std::min(together, p.heads - head));
  });
}

}  // namespace mformer::kernels::cpu
