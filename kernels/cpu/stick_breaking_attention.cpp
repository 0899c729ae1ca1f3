#include "kernels/cpu/stick_breaking_attention.h"

#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/cpu/blas.h"
#include "kernels/cpu/stick_breaking_tile.h"

namespace mformer::kernels::cpu {
namespace {

constexpr int64_t kKeysPerTile = 64;
constexpr int64_t kRowsPerTile = 64;

/// Sizes of the problem and where a (batch, head)'s rows lie.
struct Shape {
  int64_t batch, tokens, k, heads, head_size, keys;
  int64_t stride() const { return heads * head_size; }
  int64_t tokens_per_tile() const { return std::max<int64_t>(1, kRowsPerTile / k); }
  int64_t blocks() const { return (tokens + tokens_per_tile() - 1) / tokens_per_tile(); }
  int64_t query_offset(int64_t b, int64_t token, int64_t head) const {
    return (b * tokens + token) * k * stride() + head * head_size;
  }
  int64_t key_offset(int64_t b, int64_t key, int64_t head) const {
    return (b * keys + key) * stride() + head * head_size;
  }
};

Shape shape_of(const at::Tensor& query, const at::Tensor& key) {
  return {query.size(0), query.size(1), query.size(2), query.size(3), query.size(4), key.size(1)};
}

/// The rows of one tile column: `tokens` tokens from `first_token`, k rows each.
struct QueryBlock {
  int64_t batch, head, first_token, tokens, rows;
  int64_t last_position;  // of the block's last token among the keys
};

QueryBlock block_at(const Shape& s, int64_t batch, int64_t head, int64_t index) {
  const int64_t first = index * s.tokens_per_tile();
  const int64_t tokens = std::min(s.tokens_per_tile(), s.tokens - first);
  return {batch, head, first, tokens, tokens * s.k, s.keys - s.tokens + first + tokens - 1};
}

/// Scratch of one thread, allocated once per parallel chunk. The backward pass keeps weights and β of all keys of one
/// query block (`kept_keys` = keys): linear in the context.
template <typename Real>
struct Scratch {
  Scratch(const Shape& s, int64_t kept_keys)
      : weight(std::max(kept_keys, kKeysPerTile) * s.tokens_per_tile() * s.k),
        beta(kept_keys * s.tokens_per_tile() * s.k),
        dw(kKeysPerTile * s.tokens_per_tile() * s.k),
        rest(s.tokens_per_tile() * s.k),
        before(rest.size()) {}
  std::vector<Real> weight, beta, dw, rest, before;
  int64_t first_row[kKeysPerTile];
};

/// Fills first_row: key j of the tile (position first_key + j) is seen by rows of tokens at or after its position.
void set_causal_bounds(const Shape& s, const QueryBlock& block, int64_t first_key, int64_t keys, int64_t* first_row) {
  const int64_t first_position = block.last_position - block.tokens + 1;
  for (int64_t j = 0; j < keys; ++j) {
    first_row[j] = std::clamp<int64_t>(first_key + j - first_position, 0, block.tokens) * s.k;
  }
}

/// Visits the block's key tiles from the last key to the first; `visit` returns false when no stick has anything left.
template <typename Visit>
void for_each_key_tile(const QueryBlock& block, const Visit& visit) {
  for (int64_t end = block.last_position + 1; end > 0;) {
    const int64_t first = ((end - 1) / kKeysPerTile) * kKeysPerTile;
    if (!visit(first, end - first)) return;
    end = first;
  }
}

template <typename Real>
StickTile<Real> scores(const Shape& s, const QueryBlock& block, int64_t first_key, int64_t keys, const Real* query,
                       const Real* key, const bool* key_mask, Real* z, Scratch<Real>& scratch) {
  const Real scale = Real(1) / std::sqrt(static_cast<Real>(s.head_size));
  multiply<Real>(
      keys, block.rows, s.head_size, scale, {key + s.key_offset(block.batch, first_key, block.head), s.stride()},
      {query + s.query_offset(block.batch, block.first_token, block.head), s.stride(), true}, Real(0), z, block.rows);
  set_causal_bounds(s, block, first_key, keys, scratch.first_row);
  const bool* mask = key_mask == nullptr ? nullptr : key_mask + block.batch * s.keys + first_key;
  return {keys, block.rows, scratch.first_row, mask, z, scratch.rest.data()};
}

template <typename Real>
void forward_block(const Shape& s, const QueryBlock& block, const Real* query, const Real* key, const Real* value,
                   const bool* key_mask, Real* output, Scratch<Real>& scratch) {
  Real* out = output + s.query_offset(block.batch, block.first_token, block.head);
  for (int64_t r = 0; r < block.rows; ++r) std::fill_n(out + r * s.stride(), s.head_size, Real(0));
  std::fill(scratch.rest.begin(), scratch.rest.end(), Real(1));
  for_each_key_tile(block, [&](int64_t first_key, int64_t keys) {
    const auto tile = scores(s, block, first_key, keys, query, key, key_mask, scratch.weight.data(), scratch);
    const bool some_left = break_sticks(tile);
    multiply<Real>(block.rows, s.head_size, keys, Real(1), {tile.z, block.rows, true},
                   {value + s.key_offset(block.batch, first_key, block.head), s.stride()}, Real(1), out, s.stride());
    return some_left;
  });
}

template <typename Real>
struct Gradients {
  const Real* output;
  Real* query;
  Real* key;
  Real* value;
};

/// Two passes over the keys: from the last to the first to break the sticks again, then back for the gradients.
template <typename Real>
void backward_block(const Shape& s, const QueryBlock& block, const Real* query, const Real* key, const Real* value,
                    const bool* key_mask, const Gradients<Real>& grad, Scratch<Real>& scratch) {
  const Real scale = Real(1) / std::sqrt(static_cast<Real>(s.head_size));
  const int64_t offset = s.query_offset(block.batch, block.first_token, block.head), stride = s.stride();
  std::fill(scratch.rest.begin(), scratch.rest.end(), Real(1));
  int64_t first_seen = block.last_position + 1;
  for_each_key_tile(block, [&](int64_t first_key, int64_t keys) {
    first_seen = first_key;
    Real* z = scratch.weight.data() + first_key * block.rows;
    return break_sticks(scores(s, block, first_key, keys, query, key, key_mask, z, scratch),
                        scratch.beta.data() + first_key * block.rows);
  });

  std::fill(scratch.before.begin(), scratch.before.end(), Real(0));
  const Matrix<Real> grad_out{grad.output + offset, stride}, grad_out_t{grad.output + offset, stride, true};
  for (int64_t first = first_seen; first <= block.last_position; first += kKeysPerTile) {
    const int64_t keys = std::min(kKeysPerTile, block.last_position + 1 - first);
    const int64_t at_key = s.key_offset(block.batch, first, block.head);
    const Real* weight = scratch.weight.data() + first * block.rows;
    Real* dz = scratch.dw.data();
    multiply<Real>(keys, block.rows, s.head_size, Real(1), {value + at_key, stride}, grad_out_t, Real(0), dz,
                   block.rows);
    stick_gradients(keys, block.rows, weight, scratch.beta.data() + first * block.rows, dz, scratch.before.data());
    multiply<Real>(keys, s.head_size, block.rows, Real(1), {weight, block.rows}, grad_out, Real(1), grad.value + at_key,
                   stride);
    multiply<Real>(keys, s.head_size, block.rows, scale, {dz, block.rows}, {query + offset, stride}, Real(1),
                   grad.key + at_key, stride);
    multiply<Real>(block.rows, s.head_size, keys, scale, {dz, block.rows, true}, {key + at_key, stride}, Real(1),
                   grad.query + offset, stride);
  }
}

const bool* mask_data(const at::Tensor& key_mask) {
  return key_mask.defined() ? key_mask.const_data_ptr<bool>() : nullptr;
}

}  // namespace

at::Tensor stick_breaking_forward(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                                  const at::Tensor& key_mask) {
  const Shape s = shape_of(query, key);
  at::Tensor output = at::empty_like(query);
  AT_DISPATCH_FLOATING_TYPES(query.scalar_type(), "stick_breaking_forward", [&] {
    const auto *q = query.const_data_ptr<scalar_t>(), *k = key.const_data_ptr<scalar_t>(),
               *v = value.const_data_ptr<scalar_t>();
    auto* out = output.mutable_data_ptr<scalar_t>();
    at::parallel_for(0, s.batch * s.heads * s.blocks(), 1, [&](int64_t begin, int64_t end) {
      Scratch<scalar_t> scratch(s, 0);
      for (int64_t i = begin; i < end; ++i) {
        const int64_t pair = i / s.blocks();
        const QueryBlock block = block_at(s, pair / s.heads, pair % s.heads, i % s.blocks());
        forward_block(s, block, q, k, v, mask_data(key_mask), out, scratch);
      }
    });
  });
  return output;
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> stick_breaking_backward(const at::Tensor& grad_output,
                                                                       const at::Tensor& query, const at::Tensor& key,
                                                                       const at::Tensor& value,
                                                                       const at::Tensor& key_mask) {
  const Shape s = shape_of(query, key);
  at::Tensor dq = at::zeros_like(query), dk = at::zeros_like(key), dv = at::zeros_like(value);
  AT_DISPATCH_FLOATING_TYPES(query.scalar_type(), "stick_breaking_backward", [&] {
    const auto *q = query.const_data_ptr<scalar_t>(), *k = key.const_data_ptr<scalar_t>(),
               *v = value.const_data_ptr<scalar_t>();
    const Gradients<scalar_t> grad{grad_output.const_data_ptr<scalar_t>(), dq.mutable_data_ptr<scalar_t>(),
                                   dk.mutable_data_ptr<scalar_t>(), dv.mutable_data_ptr<scalar_t>()};
    // One task per (batch, head): its blocks add to the same keys, always in the same order.
    at::parallel_for(0, s.batch * s.heads, 1, [&](int64_t begin, int64_t end) {
      Scratch<scalar_t> scratch(s, s.keys);
      for (int64_t pair = begin; pair < end; ++pair) {
        for (int64_t i = 0; i < s.blocks(); ++i) {
          const QueryBlock block = block_at(s, pair / s.heads, pair % s.heads, i);
          backward_block(s, block, q, k, v, mask_data(key_mask), grad, scratch);
        }
      }
    });
  });
  return {dq, dk, dv};
}

}  // namespace mformer::kernels::cpu
