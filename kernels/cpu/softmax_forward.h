#pragma once

#include <type_traits>

#include "kernels/cpu/attention_decode.h"
#include "kernels/cpu/decode_rows.h"
#include "kernels/cpu/softmax_block.h"

namespace mformer::kernels::cpu {

/// What the block's rows read, into `output`; `unit` [rows] of the pair (softmax_tile.h), or null.
template <typename T, typename Sum>
void softmax_forward_block(const Problem<T>& p, const QueryBlock& block, const Strided<T>& output, Sum* unit) {
  using Factor = typename Arithmetic<T>::Factor;
  Factor* queries = scratch<Factor, kQueryPanel>(panel_size<Factor>(p.head_size));
  Factor* values = scratch<Factor, kRightRows>(panels_size<Factor>(kKeysPerTile, p.head_size));
  Factor* rounded = scratch<Factor, kRoundedTile>(kKeysPerTile * kTileColumns);
  Sum* z = scratch<Sum, kScores>(kKeysPerTile * kTileColumns);
  Reading<Sum> reading(block, p.width(), scratch<Sum, kOutput>(kRowsPerBlock * p.width()));
  Products<Factor>::pack_transposed(p.head_size, block.rows, query_rows(p, block), queries);
  for_each_seen_tile(p, block, position_of_first_row(p, block), [&](const KeyTile& tile, const KeyTile& next) {
    prefetch(p.key, block, next, p.head_size);
    prefetch(p.value, block, next, p.head_size);
    Products<Factor>::multiply(tile.keys, p.head_size, block.columns, Products<Factor>::left(key_rows(p, block, tile)),
                               queries, Sums<Sum>{z, kTileColumns, false});
    SeenRows seen;
    reading.weigh(softmax_tile(p, block, p.k, tile, seen, z));
    pack_panels<Factor>(tile.keys, p.head_size, value_rows(p, block, tile), values);
    multiply_panels<Factor, Sum>(block.rows, tile.keys, p.head_size,
                                 Products<Factor>::tile_transposed(tile.keys, block.columns, z, rounded), values,
                                 {reading.sum(), p.width(), true});
  });
  reading.finish(block.columns, unit == nullptr ? nullptr : unit + block.first);
  write_rows(block.rows, p.head_size, reading.sum(), p.width(), Sum(1), output.at(block.batch, block.first, block.head),
             output.row);
}

/// `unit` [batch · heads, rows], or null.
template <typename T, typename Sum>
void softmax_forward(const Problem<T>& p, const Strided<T>& output, Sum* unit) {
  for_each_task(p.pairs() * p.blocks(), 2 * p.operations(), [&](int64_t i) {
    // The last blocks see the most keys: first come the longest tasks.
    const int64_t pair = i / p.blocks();
    softmax_forward_block(p, block_at(p, pair, p.blocks() - 1 - i % p.blocks()), output,
                          unit == nullptr ? nullptr : unit + pair * p.rows());
  });
}

/// The products of decoding by panels: for dtypes of tests.
template <typename T>
class PanelDecoder {
  using Factor = typename Arithmetic<T>::Factor;
  using Sum = typename Arithmetic<T>::Sum;

 public:
  PanelDecoder(const Problem<T>& p, const QueryBlock& block, Sum* /*z*/) : p_(p), panels_(head_panels(p, block)) {}

  void score(const QueryBlock& block, const KeyTile& tile, Sum* z) const { head_scores(p_, block, tile, panels_, z); }
  void read(const QueryBlock& block, const KeyTile& tile, const KeyTile& next, const Sum* weights, Sum* sum) const {
    read_values<T, Factor, Sum>(p_, block, tile, next, weights, sum);
  }

 private:
  const Problem<T>& p_;
  const Factor* panels_;
};

/// The same key by key, as they lie, for float32 and bfloat16.
template <typename T>
class RowDecoder {
 public:
  RowDecoder(const Problem<T>& p, const QueryBlock& block, float* z)
      : p_(p), queries_(scratch<float, kQueryRows>(block.rows * p.head_size)) {
    for (int64_t r = 0; r < block.rows; ++r) {
      std::copy_n(p.query.at(block.batch, r % p.k, block.head + r / p.k), p.head_size, queries_ + r * p.head_size);
    }
    for (int64_t j = 0; j < kKeysPerTile; ++j) {  // columns without a row
      std::fill(z + j * kTileColumns + block.rows, z + j * kTileColumns + block.columns, 0.0F);
    }
  }

  void score(QueryBlock block, const KeyTile& tile, float* z) const {
    for (int64_t r = 0; r < block.rows; r += p_.k, ++block.head) {
      prefetch(p_.value, block, tile, p_.head_size);
      score_rows(rows(p_.key, block, tile), queries_ + r * p_.head_size, p_.k, z + r);
    }
  }
  void read(QueryBlock block, const KeyTile& tile, const KeyTile& next, const float* weights, float* sum) const {
    for (int64_t r = 0; r < block.rows; r += p_.k, ++block.head) {
      prefetch(p_.key, block, next, p_.head_size);
      read_rows(rows(p_.value, block, tile), weights + r, p_.k, sum + r * p_.width(), p_.width());
    }
  }

 private:
  HeadRows<T> rows(const Strided<const T>& x, const QueryBlock& block, const KeyTile& tile) const {
    return {x.at(block.batch, tile.first, block.head), x.row, tile.keys, p_.head_size};
  }

  const Problem<T>& p_;
  float* queries_;
};

template <typename T>
using Decoder =
    std::conditional_t<std::is_same_v<T, float> || std::is_same_v<T, c10::BFloat16>, RowDecoder<T>, PanelDecoder<T>>;

template <typename T>
void softmax_decode_heads(const Problem<T>& p, int64_t batch, int64_t head, int64_t heads, const Strided<T>& output) {
  using Sum = typename Arithmetic<T>::Sum;
  const QueryBlock block{batch, head, 0, heads * p.k, whole_vectors(heads * p.k), p.keys - 1};
  Sum* z = scratch<Sum, kScores>(kKeysPerTile * kTileColumns);
  const Decoder<T> decoder(p, block, z);
  Reading<Sum> reading(block, p.width(), scratch<Sum, kOutput>(block.rows * p.width()));
  for_each_seen_tile(p, block, p.keys - 1, [&](const KeyTile& tile, const KeyTile& next) {
    decoder.score(block, tile, z);
    SeenRows seen;
    reading.weigh(softmax_tile(p, block, /*rows_per_token=*/block.rows, tile, seen, z));
    decoder.read(block, tile, next, z, reading.sum());
  });
  reading.finish(block.columns, nullptr);
  write_heads(p, batch, head, heads, reading.sum(), output);
}

template <typename T>
void softmax_decode(const Problem<T>& p, const Strided<T>& output) {
  for_each_heads(
      p, [&](int64_t batch, int64_t head, int64_t heads) { softmax_decode_heads(p, batch, head, heads, output); });
}

}  // namespace mformer::kernels::cpu
