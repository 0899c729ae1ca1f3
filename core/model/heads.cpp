#include "core/model/heads.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/clamp.h>

#include <utility>
#include <vector>

#include "kernels/rms_norm.h"
#include "kernels/softmax_attention.h"
#include "kernels/stick_breaking_attention.h"

namespace mformer {
namespace {

/// x [batch, tokens, modules, …]: every head by itself, or all heads of a token together.
at::Tensor normed_heads(const ModelConfig& config, const at::Tensor& x, const at::Tensor& weight) {
  const double eps = config.form.block_eps;
  return config.form.qk_norm == QkNorm::whole ? kernels::rms_norm(x.flatten(2), weight, eps).view_as(x)
                                              : kernels::rms_norm(x, weight, eps);
}

/// [batch, tokens, slots, heads, size]
at::Tensor read_keys(const ModelConfig& config, std::size_t layer, const Heads& heads,
                     const std::optional<at::Tensor>& key_mask) {
  if (config.form.attention == AttentionKind::stick_breaking) {
    return kernels::stick_breaking_attention(heads.query, heads.key, heads.value, key_mask);
  }
  const std::int64_t window = config.form.window_of(static_cast<std::int64_t>(layer));
  return kernels::softmax_attention(heads.query, heads.key, heads.value, key_mask, config.score_scale(), window);
}

/// What queries read as the second maps take it.
at::Tensor as_rows(const ModelConfig& config, at::Tensor read) {
  if (!config.form.att_routed) read = read.transpose(2, 3);  // modules first, then their queries
  return read.reshape({read.size(0) * read.size(1), -1, config.att_hidden});
}

}  // namespace

Heads own_heads(const ModelConfig& config, const at::Tensor& slots, const at::Tensor& query_norm,
                const at::Tensor& key_norm) {
  const std::int64_t size = config.head_size(), queries = config.att_hidden;
  Heads heads{slots.narrow(3, 0, queries).unflatten(3, {config.n_head, size}), slots.narrow(3, queries, size),
              slots.narrow(3, queries + size, size)};
  if (config.form.qk_norm != QkNorm::none) {
    heads.query = normed_heads(config, heads.query, query_norm);
    heads.key = normed_heads(config, heads.key, key_norm);
  }
  if (const double most = config.form.clip_qkv; most > 0) {
    for (at::Tensor* x : {&heads.query, &heads.key, &heads.value}) *x = x->clamp(-most, most);
  }
  heads.query = heads.query.transpose(2, 3);
  return heads;
}

at::Tensor read_heads(const ModelConfig& config, std::size_t layer, Heads heads,
                      const std::optional<kernels::RotaryTable>& rotary, const std::optional<at::Tensor>& key_mask,
                      KeyValueCache* cache) {
  if (rotary.has_value()) {
    heads.query = kernels::rotate(heads.query, *rotary, 0);
    heads.key = kernels::rotate(heads.key, *rotary, 0);
    // The gradients keep the values. As a view they would keep the queries and keys from before they were turned, too.
    if (at::GradMode::is_enabled()) heads.value = heads.value.contiguous();
  }
  if (cache != nullptr) std::tie(heads.key, heads.value) = cache->append(layer, heads.key, heads.value);
  return read_keys(config, layer, heads, key_mask);
}

at::Tensor attend(const ModelConfig& config, std::size_t layer, Heads heads,
                  const std::optional<kernels::RotaryTable>& rotary, const std::optional<at::Tensor>& key_mask,
                  KeyValueCache* cache) {
  return as_rows(config, read_heads(config, layer, std::move(heads), rotary, key_mask, cache));
}

at::Tensor attend(const ModelConfig& config, std::size_t layer, Heads heads,
                  const std::optional<kernels::RotaryTable>& rotary, std::span<const TextPart> parts) {
  if (rotary.has_value()) {
    heads.query = kernels::rotate(heads.query, *rotary, 0);
    heads.key = kernels::rotate(heads.key, *rotary, 0);
  }
  std::vector<at::Tensor> read;
  std::int64_t first = 0;
  for (const TextPart& part : parts) {
    const at::Tensor key = heads.key.narrow(1, first, part.tokens);
    // The same tensor is kept once (KeyValueCache::append).
    const at::Tensor value = heads.key.is_same(heads.value) ? key : heads.value.narrow(1, first, part.tokens);
    read.push_back(
        read_heads(config, layer, {heads.query.narrow(1, first, part.tokens), key, value}, {}, {}, part.cache));
    first += part.tokens;
  }
  return as_rows(config, at::cat(read, 1));
}

}  // namespace mformer
