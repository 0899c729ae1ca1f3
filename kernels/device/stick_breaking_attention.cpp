#include "kernels/device/stick_breaking_attention.h"

#include <ATen/OpMathType.h>
#include <ATen/TensorIndexing.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/log_sigmoid.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>

#include "kernels/device/attention_chunks.h"

namespace mformer::kernels::device::composite {
namespace {

/// [batch, heads, keys, head_size] in the dtype of sums, the last key first: the order in which a stick is broken.
at::Tensor nearest_first(const at::Tensor& x) {
  return x.to(at::toOpMathType(x.scalar_type())).transpose(1, 2).flip(2).contiguous();
}

/// Σ of the entries before each one, along the last dimension. (Not cumsum − x: that cancels.)
at::Tensor sum_before(const at::Tensor& x) {
  const at::Tensor sums = x.narrow(-1, 0, x.size(-1) - 1).cumsum(-1);
  return at::constant_pad_nd(sums, {1, 0});
}

/// The keys nearest first, and what their rows see of them.
class Keys {
 public:
  Keys(const at::Tensor& query, const at::Tensor& key, const at::Tensor& mask)
      : keys_(key.size(1)), earlier_(key.size(1) - query.size(1)), k_(query.size(2)), all_(nearest_first(key)) {
    if (mask.defined()) mask_ = mask.flip(1).view({mask.size(0), 1, 1, keys_});
  }

  /// Of a tensor in that order: the keys that token `end` − 1 and those before it see.
  at::Tensor seen(const at::Tensor& x, std::int64_t end) const {
    const std::int64_t count = earlier_ + end;
    return x.narrow(2, keys_ - count, count);
  }

  struct Weights {
    at::Tensor weight;  ///< [batch, heads, rows, keys seen]
    at::Tensor log_beta;
    at::Tensor visible;  ///< The same sizes, or such as broadcast to them.
  };

  /// log w = log σ(z) + Σ of log σ(−z) of nearer keys.
  Weights weights(const at::Tensor& queries, std::int64_t first, std::int64_t end) const {
    const at::Tensor keys = seen(all_, end);
    const double scale = 1 / std::sqrt(static_cast<double>(keys.size(3)));
    const at::Tensor z = at::matmul(queries, keys.transpose(2, 3)).mul_(scale);
    const auto options = at::TensorOptions(at::kLong).device(z.device());
    const at::Tensor hidden =
        (end - 1) - at::arange(first, end, options).repeat_interleave(k_);  // keys after the row's
    at::Tensor visible = at::arange(keys.size(2), options).ge(hidden.unsqueeze(1));
    if (mask_.defined()) visible = visible.logical_and(mask_.narrow(3, keys_ - keys.size(2), keys.size(2)));
    const at::Tensor log_pass = at::log_sigmoid(-z).masked_fill_(visible.logical_not(), 0);
    const at::Tensor log_beta = at::log_sigmoid(z);
    return {sum_before(log_pass).add_(log_beta).exp_().mul_(visible), log_beta, visible};
  }

  const at::Tensor& all() const { return all_; }

 private:
  std::int64_t keys_, earlier_, k_;
  at::Tensor all_, mask_;
};

/// [batch, heads, keys, head_size], the last key first, back to a tensor like `to`.
at::Tensor in_key_order(const at::Tensor& sums, at::ScalarType dtype) {
  return sums.flip(2).transpose(1, 2).to(dtype).contiguous();
}

}  // namespace

at::Tensor stick_breaking_forward(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                                  const at::Tensor& key_mask, std::int64_t scores_per_chunk) {
  at::Tensor output = at::empty(query.sizes(), query.options());
  const Keys keys(query, key, key_mask);
  const at::Tensor values = nearest_first(value);
  for_each_chunk(query, key, scores_per_chunk, [&](std::int64_t first, std::int64_t end) {
    const at::Tensor weight = keys.weights(rows(query, first, end), first, end).weight;
    write(at::matmul(weight, keys.seen(values, end)), first, end, output);
  });
  return output;
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> stick_breaking_backward(const at::Tensor& grad_output,
                                                                       const at::Tensor& query, const at::Tensor& key,
                                                                       const at::Tensor& value,
                                                                       const at::Tensor& key_mask,
                                                                       std::int64_t scores_per_chunk) {
  at::Tensor dq = at::empty(query.sizes(), query.options());
  const Keys keys(query, key, key_mask);
  const at::Tensor values = nearest_first(value);
  const at::Tensor dk = at::zeros(values.sizes(), values.options()), dv = at::zeros(values.sizes(), values.options());
  const double scale = 1 / std::sqrt(static_cast<double>(query.size(4)));
  for_each_chunk(query, key, scores_per_chunk, [&](std::int64_t first, std::int64_t end) {
    const at::Tensor queries = rows(query, first, end), grads = rows(grad_output, first, end);
    const auto [weight, log_beta, visible] = keys.weights(queries, first, end);
    keys.seen(dv, end).add_(at::matmul(weight.transpose(2, 3), grads));
    // dz = w (1 − β) dw − β Σ of w dw of the keys that come later to the stick.
    const at::Tensor share = at::matmul(grads, keys.seen(values, end).transpose(2, 3)).mul_(weight);
    const at::Tensor beta = log_beta.exp().mul_(visible);
    const at::Tensor from_here = share.flip(-1).cumsum(-1).flip(-1);
    const at::Tensor dz = (share - beta * from_here).mul_(scale);
    keys.seen(dk, end).add_(at::matmul(dz.transpose(2, 3), queries));
    write(at::matmul(dz, keys.seen(keys.all(), end)), first, end, dq);
  });
  return {dq, in_key_order(dk, key.scalar_type()), in_key_order(dv, value.scalar_type())};
}

}  // namespace mformer::kernels::device::composite
