#pragma once

#include <ATen/ATen.h>

#include <cmath>
#include <optional>

namespace mformer::testing {

/// log σ(z), exact for any z.
inline double log_sigmoid(double z) {
  return std::min(z, 0.0) - std::log1p(std::exp(-std::abs(z)));
}

/// Stick-breaking attention straight from its formula, in logs and in float64, one weight at a time:
/// log w_ij = log σ(z_ij) + Σ_{j<m≤i} log σ(−z_im). Shapes as in kernels/stick_breaking_attention.h.
inline at::Tensor naive_attention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                                  const std::optional<at::Tensor>& key_mask = std::nullopt) {
  const at::Tensor q = query.detach().to(at::kDouble), k = key.detach().to(at::kDouble);
  const at::Tensor v = value.detach().to(at::kDouble).contiguous();
  const std::int64_t tokens = q.size(1), choices = q.size(2), keys = k.size(1), width = q.size(4);
  const at::Tensor z = at::einsum("btche,bnhe->bhtcn", {q, k}).div(std::sqrt(static_cast<double>(width))).contiguous();
  const at::Tensor mask = key_mask.value_or(at::ones({k.size(0), keys}, at::kBool)).contiguous();
  at::Tensor output = at::zeros(q.sizes(), at::kDouble);
  const auto scores = z.accessor<double, 5>();
  const auto real = mask.accessor<bool, 2>();
  const auto values = v.accessor<double, 4>();
  auto out = output.accessor<double, 5>();
  for (std::int64_t b = 0; b < q.size(0); ++b) {
    for (std::int64_t h = 0; h < q.size(3); ++h) {
      for (std::int64_t t = 0; t < tokens; ++t) {
        for (std::int64_t c = 0; c < choices; ++c) {
          double log_rest = 0;
          for (std::int64_t j = keys - tokens + t; j >= 0; --j) {
            if (!real[b][j]) continue;
            const double score = scores[b][h][t][c][j];
            const double weight = std::exp(log_sigmoid(score) + log_rest);
            for (std::int64_t e = 0; e < width; ++e) out[b][t][c][h][e] += weight * values[b][j][h][e];
            log_rest += log_sigmoid(-score);
          }
        }
      }
    }
  }
  return output;
}

/// The same in whole-tensor operations that autograd can follow: a [tokens, keys] matrix per row, so small sizes only.
inline at::Tensor differentiable_attention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                                           const std::optional<at::Tensor>& key_mask = std::nullopt) {
  const std::int64_t tokens = query.size(1), keys = key.size(1);
  const at::Tensor z = at::einsum("btche,bnhe->bhctn", {query, key}) / std::sqrt(static_cast<double>(query.size(4)));
  at::Tensor visible = at::ones({tokens, keys}, at::kBool).tril(keys - tokens).expand_as(z);
  if (key_mask.has_value()) visible = visible.logical_and(key_mask->view({-1, 1, 1, 1, keys}));
  const at::Tensor log_stop = at::log_sigmoid(z);
  const at::Tensor log_pass = at::log_sigmoid(-z).masked_fill(visible.logical_not(), 0.0);
  const at::Tensor from_here = log_pass.flip(-1).cumsum(-1).flip(-1);  // Σ_{m ≥ j}
  const at::Tensor weight = (log_stop + from_here - log_pass).exp().masked_fill(visible.logical_not(), 0.0);
  return at::einsum("bhctn,bnhe->btche", {weight, value});
}

}  // namespace mformer::testing
