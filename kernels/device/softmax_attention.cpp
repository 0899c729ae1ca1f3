#include "kernels/device/softmax_attention.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros.h>

#include "kernels/device/attention_chunks.h"

namespace mformer::kernels::device::composite {
namespace {

/// The keys that the tokens [first, end) see at all, and which row sees which.
class SeenKeys {
 public:
  SeenKeys(const at::Tensor& query, const at::Tensor& keys, const at::Tensor& mask, double scale, std::int64_t window)
      : earlier_(keys.size(2) - query.size(1)), k_(query.size(2)), scale_(scale), window_(window), keys_(keys) {
    if (mask.defined()) mask_ = mask.view({mask.size(0), 1, 1, mask.size(1)});
  }

  /// Of a tensor [batch, heads, keys, …]: those of tokens [first, end).
  at::Tensor of(const at::Tensor& x, std::int64_t first, std::int64_t end) const {
    return x.narrow(2, begin(first), earlier_ + end - begin(first));
  }

  /// [batch, heads, rows, keys seen]
  at::Tensor weights(const at::Tensor& queries, std::int64_t first, std::int64_t end) const {
    const at::Tensor keys = of(keys_, first, end);
    const auto options = at::TensorOptions(at::kLong).device(queries.device());
    const at::Tensor position = (at::arange(first, end, options) + earlier_).repeat_interleave(k_).unsqueeze(1);
    const at::Tensor distance = position - at::arange(begin(first), earlier_ + end, options);
    at::Tensor hidden = distance < 0;
    if (window_ > 0) hidden = hidden.logical_or(distance >= window_);
    if (mask_.defined()) hidden = hidden.logical_or(mask_.narrow(3, begin(first), keys.size(2)).logical_not());
    // A number, so that a row that sees nothing is no NaN before its weights become 0.
    const at::Tensor scores = at::matmul(queries, keys.transpose(2, 3)).mul_(scale_).masked_fill_(hidden, -1e30);
    return at::softmax(scores, 3).masked_fill_(hidden, 0);
  }

 private:
  std::int64_t begin(std::int64_t first) const {
    return window_ > 0 ? std::max<std::int64_t>(0, earlier_ + first - window_ + 1) : 0;
  }

  std::int64_t earlier_, k_;
  double scale_;
  std::int64_t window_;
  at::Tensor keys_, mask_;
};

/// [batch, heads, keys, size] in the dtype of sums.
at::Tensor heads_first(const at::Tensor& x) {
  return x.to(at::toOpMathType(x.scalar_type())).transpose(1, 2).contiguous();
}

/// Back to [batch, keys, heads, size].
at::Tensor keys_first(const at::Tensor& sums, at::ScalarType dtype) {
  return sums.transpose(1, 2).to(dtype).contiguous();
}

}  // namespace

at::Tensor softmax_attention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                             const at::Tensor& key_mask, double scale, std::int64_t window,
                             std::int64_t scores_per_chunk) {
  at::Tensor output = at::empty(query.sizes(), query.options());
  const SeenKeys seen(query, heads_first(key), key_mask, scale, window);
  const at::Tensor values = heads_first(value);
  for_each_chunk(query, key, scores_per_chunk, [&](std::int64_t first, std::int64_t end) {
    const at::Tensor weights = seen.weights(rows(query, first, end), first, end);
    write(at::matmul(weights, seen.of(values, first, end)), first, end, output);
  });
  return output;
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> softmax_attention_backward(
    const at::Tensor& grad_output, const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
    const at::Tensor& key_mask, double scale, std::int64_t window, std::int64_t scores_per_chunk) {
  at::Tensor dq = at::empty(query.sizes(), query.options());
  const at::Tensor keys = heads_first(key), values = heads_first(value);
  const SeenKeys seen(query, keys, key_mask, scale, window);
  const at::Tensor dk = at::zeros(keys.sizes(), keys.options()), dv = at::zeros(values.sizes(), values.options());
  for_each_chunk(query, key, scores_per_chunk, [&](std::int64_t first, std::int64_t end) {
    const at::Tensor queries = rows(query, first, end), grads = rows(grad_output, first, end);
    const at::Tensor weights = seen.weights(queries, first, end);
    seen.of(dv, first, end).add_(at::matmul(weights.transpose(2, 3), grads));
    // dz = w (dw − Σ w dw)
    const at::Tensor dw = at::matmul(grads, seen.of(values, first, end).transpose(2, 3));
    const at::Tensor dz = dw.sub_((dw * weights).sum(3, /*keepdim=*/true)).mul_(weights).mul_(scale);
    seen.of(dk, first, end).add_(at::matmul(dz.transpose(2, 3), queries));
    write(at::matmul(dz, seen.of(keys, first, end)), first, end, dq);
  });
  return {dq, keys_first(dk, key.scalar_type()), keys_first(dv, value.scalar_type())};
}

}  // namespace mformer::kernels::device::composite
