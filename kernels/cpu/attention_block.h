#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "kernels/cpu/attention_products.h"
#include "kernels/cpu/tasks.h"

// What forward and backward passes of both kinds of attention share: blocks of query rows, which visit the keys tile by
// tile.

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
  int64_t window = 0;    // keys at this distance and beyond are not seen; 0 = all are

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

template <typename T>
auto query_rows(const Problem<T>& p, const QueryBlock& block) {
  return factors<kQueryRows>(p.query.at(block.batch, block.first, block.head), p.query.row, block.rows, p.head_size);
}

/// Writes sums [rows, width] times `scale` in the tensors' dtype.
template <typename Sum, typename T>
void write_rows(int64_t rows, int64_t head_size, const Sum* from, int64_t width, Sum scale, T* to, int64_t stride) {
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < head_size; ++c) to[r * stride + c] = static_cast<T>(from[r * width + c] * scale);
  }
}

}  // namespace mformer::kernels::cpu
