#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "kernels/device/fused.h"
#include "kernels/device/start.h"

namespace mformer::kernels::device::fused {
namespace {

/// Neighbours within a head.
at::Tensor readable(const at::Tensor& x) {
  return x.size(-1) == 1 || x.stride(-1) == 1 ? x : x.contiguous();
}

/// [batch, tokens, k, heads, head_size], contiguous.
cuda::Rows query_rows(const at::Tensor& x) {
  return {x.data_ptr(), x.stride(0), x.size(3) * x.size(4), x.size(4)};
}

/// [batch, keys, heads, head_size].
cuda::Rows key_rows(const at::Tensor& x) {
  return {x.data_ptr(), x.stride(0), x.stride(1), x.stride(2)};
}

cuda::AttentionSizes sizes(const at::Tensor& query, const at::Tensor& key, const at::Tensor& key_mask) {
  return {query.size(0),
          query.size(1),
          query.size(2),
          query.size(3),
          query.size(4),
          key.size(1),
          key_mask.defined() ? key_mask.const_data_ptr<bool>() : nullptr};
}

}  // namespace

bool takes_attention(const at::Tensor& query) {
  constexpr std::int64_t kMostPairs = 65535;  // a grid's limit
  const bool dtype = query.scalar_type() == at::kFloat || query.scalar_type() == at::kBFloat16;
  return dtype && query.numel() > 0 && query.size(4) <= cuda::kLargestHead &&
         query.size(0) * query.size(3) <= kMostPairs;
}

at::Tensor stick_breaking_forward(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                                  const at::Tensor& key_mask) {
  const at::Tensor q = query.contiguous(), k = readable(key), v = readable(value);
  at::Tensor output = at::empty(query.sizes(), query.options());
  start(q, cuda::AttentionForward{dtype_of(q), sizes(q, k, key_mask), query_rows(q), key_rows(k), key_rows(v),
                                  query_rows(output)});
  return output;
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> stick_breaking_backward(const at::Tensor& grad_output,
                                                                       const at::Tensor& query, const at::Tensor& key,
                                                                       const at::Tensor& value,
                                                                       const at::Tensor& key_mask,
                                                                       std::int64_t state_bytes) {
  const at::Tensor q = query.contiguous(), k = readable(key), v = readable(value), grad = grad_output.contiguous();
  const std::int64_t pairs = q.size(0) * q.size(3), rows = q.size(1) * q.size(2);
  const std::int64_t key_tiles = (k.size(1) + cuda::kTile - 1) / cuda::kTile;
  const std::int64_t tile_bytes = 2 * pairs * key_tiles * cuda::kTile * static_cast<std::int64_t>(sizeof(float));
  const std::int64_t step = std::max<std::int64_t>(1, state_bytes / tile_bytes) * cuda::kTile;
  const auto floats = q.options().dtype(at::kFloat);
  const std::int64_t row_tiles = (std::min(step, rows) + cuda::kTile - 1) / cuda::kTile;
  const at::Tensor rest = at::empty({pairs, key_tiles, row_tiles * cuda::kTile}, floats),
                   expected = at::empty_like(rest);
  const at::Tensor first_tile = at::empty({pairs, row_tiles}, floats.dtype(at::kInt));
  at::Tensor dq = at::empty(q.sizes(), q.options());
  const at::Tensor dk = at::zeros(k.sizes(), floats), dv = at::zeros(v.sizes(), floats);
  for (std::int64_t first = 0; first < rows; first += step) {
    const cuda::AttentionBackward problem{dtype_of(q),
                                          sizes(q, k, key_mask),
                                          query_rows(q),
                                          key_rows(k),
                                          key_rows(v),
                                          query_rows(grad),
                                          first,
                                          std::min(step, rows - first),
                                          query_rows(dq),
                                          dk.mutable_data_ptr<float>(),
                                          dv.mutable_data_ptr<float>(),
                                          rest.mutable_data_ptr<float>(),
                                          expected.mutable_data_ptr<float>(),
                                          first_tile.mutable_data_ptr<std::int32_t>()};
    start(q, problem, cuda::AttentionPart::query);
    start(q, problem, cuda::AttentionPart::keys);
  }
  return {dq, dk.to(key.scalar_type()), dv.to(value.scalar_type())};
}

}  // namespace mformer::kernels::device::fused
