#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "kernels/cpu/stick_breaking_products.h"
#include "kernels/cpu/stick_breaking_tile.h"
#include "kernels/cpu/tasks.h"

// What forward and backward pass share: blocks of query rows, which visit the keys tile by tile from the last to the
// first and break their sticks.

namespace mformer::kernels::cpu {

inline constexpr int64_t kKeysPerTile = 64;
inline constexpr int64_t kRowsPerBlock = kTileColumns;

/// A tensor [batch, rows, heads, head_size] in memory, neighbours within a head.
template <typename T>
struct Strided {
  T* data;
  int64_t batch, row, head;
  T* at(int64_t b, int64_t r, int64_t h) const { return data + b * batch + r * row + h * head; }
};

/// One call of the attention. Rows are queries, k for each token, in token order.
template <typename T>
struct Problem {
  int64_t batch, tokens, k, heads, head_size, keys;
  Strided<const T> query, key, value;
  const bool* key_mask;  // [batch, keys]; null = all real
  double scale;          // of the scores

  int64_t rows() const { return tokens * k; }
  int64_t blocks() const { return (rows() + kRowsPerBlock - 1) / kRowsPerBlock; }
  int64_t key_tiles() const { return (keys + kKeysPerTile - 1) / kKeysPerTile; }
  int64_t pairs() const { return batch * heads; }
  /// Columns of a buffer of rows of head_size.
  int64_t width() const { return whole_vectors(head_size); }
  /// Roughly, of one product of all queries with all keys.
  int64_t operations() const { return 2 * pairs() * rows() * keys * head_size; }
};

/// Up to 64 successive rows of one batch row and head.
struct QueryBlock {
  int64_t batch, head, first, rows;
  int64_t columns;        // of a tile: rows up to whole vectors
  int64_t last_position;  // of the last row among the keys
};

template <typename T>
QueryBlock block_at(const Problem<T>& p, int64_t pair, int64_t index) {
  const int64_t first = index * kRowsPerBlock, rows = std::min(kRowsPerBlock, p.rows() - first);
  return {pair / p.heads, pair % p.heads,      first,
          rows,           whole_vectors(rows), p.keys - p.tokens + (first + rows - 1) / p.k};
}

struct KeyTile {
  int64_t first, keys;
};

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

/// Buffers of a thread that are in use at the same time (tasks.h).
enum AttentionScratch {
  kQueryPanel,
  kQueryRows,
  kGradPanel,
  kGradRows,
  kKeyRows,
  kValueRows,
  kRightRows,
  kRoundedTile,
  kScores,
  kBeta,
  kWeightGradients,
  kRest,
  kBefore,
  kOutput,
  kKeySums,
};

/// The rows as factors of a product: themselves, or converted in this thread's `Use`.
template <int Use, typename T>
Rows<typename Arithmetic<T>::Factor> factors(const T* from, int64_t stride, int64_t rows, int64_t width) {
  using Factor = typename Arithmetic<T>::Factor;
  if constexpr (std::is_same_v<T, Factor>) {
    return {from, stride};
  } else {
    Factor* to = scratch<Factor, Use>(rows * width);
    for (int64_t r = 0; r < rows; ++r) std::copy_n(from + r * stride, width, to + r * width);
    return {to, width};
  }
}

template <typename T>
auto key_rows(const Problem<T>& p, const QueryBlock& block, const KeyTile& tile) {
  return factors<kKeyRows>(p.key.at(block.batch, tile.first, block.head), p.key.row, tile.keys, p.head_size);
}
template <typename T>
auto value_rows(const Problem<T>& p, const QueryBlock& block, const KeyTile& tile) {
  return factors<kValueRows>(p.value.at(block.batch, tile.first, block.head), p.value.row, tile.keys, p.head_size);
}

/// Asks for rows that are needed soon: no processor foresees those that lie far apart.
template <typename T>
void prefetch(const Strided<const T>& from, const QueryBlock& block, const KeyTile& tile, int64_t width) {
  for (int64_t key = tile.first; key < tile.first + tile.keys; ++key) {
    const auto* row = reinterpret_cast<const char*>(from.at(block.batch, key, block.head));
    for (int64_t byte = 0; byte < width * static_cast<int64_t>(sizeof(T)); byte += 64) {
      __builtin_prefetch(row + byte, 0, 2);  // into the second-level cache: a tile is too large for the first
    }
  }
}

/// Fills first_row: the first of the block's rows that sees each key of the tile. Null where all rows see all keys.
template <typename T>
const int64_t* causal_bounds(const Problem<T>& p, const QueryBlock& block, const KeyTile& tile, int64_t* first_row) {
  const int64_t first_position = p.keys - p.tokens;  // of the first token among the keys
  for (int64_t j = 0; j < tile.keys; ++j) {
    first_row[j] = std::clamp<int64_t>((tile.first + j - first_position) * p.k - block.first, 0, block.rows);
  }
  return first_row[tile.keys - 1] > 0 ? first_row : nullptr;
}

/// What is left of the block's sticks at first, `rest` [64]: all of each row's, nothing of the columns without a row.
template <typename Sum>
void whole_sticks(const QueryBlock& block, Sum* rest) {
  std::fill_n(rest, block.rows, Sum(1));
  std::fill(rest + block.rows, rest + kTileColumns, Sum(0));
}

template <typename T>
auto query_rows(const Problem<T>& p, const QueryBlock& block) {
  return factors<kQueryRows>(p.query.at(block.batch, block.first, block.head), p.query.row, block.rows, p.head_size);
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

/// Writes sums [rows, width] times `scale` in the tensors' dtype.
template <typename Sum, typename T>
void write_rows(int64_t rows, int64_t head_size, const Sum* from, int64_t width, Sum scale, T* to, int64_t stride) {
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < head_size; ++c) to[r * stride + c] = static_cast<T>(from[r * width + c] * scale);
  }
}

}  // namespace mformer::kernels::cpu
