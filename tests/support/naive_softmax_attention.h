#pragma once

#include <ATen/ATen.h>

#include <cmath>
#include <optional>

namespace mformer::testing {

/// What kernels/softmax_attention.h is about, beside its tensors.
struct SoftmaxForm {
  double scale = 0.25;
  std::int64_t window = 0;
  std::optional<at::Tensor> key_mask{};

  bool sees(std::int64_t batch, std::int64_t position, std::int64_t key) const {
    const bool near = window == 0 || position - key < window;
    return key <= position && near && (!key_mask.has_value() || (*key_mask)[batch][key].item<bool>());
  }
};

/// Softmax attention straight from its formula, in float64, one query at a time.
inline at::Tensor naive_softmax_attention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                                          const SoftmaxForm& form) {
  const at::Tensor q = query.detach().to(at::kDouble).contiguous(), k = key.detach().to(at::kDouble).contiguous();
  const at::Tensor v = value.detach().to(at::kDouble).contiguous();
  const at::Tensor z = at::einsum("btche,bnhe->bhtcn", {q, k}).mul(form.scale).contiguous();
  const std::int64_t keys = k.size(1), earlier = keys - q.size(1);
  at::Tensor output = at::zeros(q.sizes(), at::kDouble);
  const auto scores = z.accessor<double, 5>();
  const auto values = v.accessor<double, 4>();
  auto out = output.accessor<double, 5>();
  for (std::int64_t b = 0; b < q.size(0); ++b) {
    for (std::int64_t t = 0; t < q.size(1); ++t) {
      std::vector<std::int64_t> seen;
      for (std::int64_t j = 0; j <= earlier + t; ++j) {
        if (form.sees(b, earlier + t, j)) seen.push_back(j);
      }
      for (std::int64_t h = 0; h < q.size(3); ++h) {
        for (std::int64_t c = 0; c < q.size(2); ++c) {
          double largest = -INFINITY, sum = 0;
          for (const std::int64_t j : seen) largest = std::max(largest, scores[b][h][t][c][j]);
          for (const std::int64_t j : seen) sum += std::exp(scores[b][h][t][c][j] - largest);
          for (const std::int64_t j : seen) {
            const double weight = std::exp(scores[b][h][t][c][j] - largest) / sum;
            for (std::int64_t e = 0; e < q.size(4); ++e) out[b][t][c][h][e] += weight * values[b][j][h][e];
          }
        }
      }
    }
  }
  return output;
}

/// The same in whole-tensor operations that autograd can follow: a [tokens, keys] matrix per row, so small sizes only.
inline at::Tensor differentiable_softmax_attention(const at::Tensor& query, const at::Tensor& key,
                                                   const at::Tensor& value, const SoftmaxForm& form) {
  const std::int64_t tokens = query.size(1), keys = key.size(1);
  const at::Tensor z = at::einsum("btche,bnhe->bhctn", {query, key}) * form.scale;
  at::Tensor seen = at::ones({tokens, keys}, at::kBool).tril(keys - tokens);
  if (form.window > 0) seen = seen.triu(keys - tokens - form.window + 1);
  seen = seen.expand_as(z);
  if (form.key_mask.has_value()) seen = seen.logical_and(form.key_mask->view({-1, 1, 1, 1, keys}));
  const at::Tensor weight = at::softmax(z.masked_fill(seen.logical_not(), -1e30), -1);
  return at::einsum("bhctn,bnhe->btche", {weight.masked_fill(seen.logical_not(), 0.0), value});
}

}  // namespace mformer::testing
