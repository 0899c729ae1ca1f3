#include <ATen/ops/clamp.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros_like.h>

#include <cmath>

#include "core/model/layers.h"
#include "core/model/rotary.h"
#include "kernels/rms_norm.h"
#include "kernels/softmax_attention.h"
#include "kernels/stick_breaking_attention.h"

namespace mformer::layers {
namespace {

/// What the scores are made of. A query of slot s reads the key head of its own number h.
struct Heads {
  at::Tensor query;       ///< [batch, tokens, slots, heads, size]
  at::Tensor key, value;  ///< [batch, tokens, heads, size]
};

/// [batch, tokens, heads, head_size] of keys or values; the identity where the model has no projection.
at::Tensor projected(const at::Tensor& x, const Affine& projection, const ModelConfig& config,
                     const ForwardOptions& options) {
  const at::Tensor y = projection.weight.defined() ? linear(x, projection.weight, projection.bias, options) : x;
  return y.view({x.size(0), x.size(1), config.n_head, config.head_size()});
}

/// Where modules are chosen among: `slots` [batch, tokens, k, att_hidden] are queries, and all read the layer's keys.
Heads shared_heads(const ModelConfig& config, const Block& block, const at::Tensor& x, const at::Tensor& slots,
                   const ForwardOptions& options) {
  const at::Tensor query = slots.view({x.size(0), x.size(1), slots.size(2), config.n_head, config.head_size()});
  return {query, projected(x, block.k_proj, config, options).to(query.scalar_type()),
          projected(x, block.v_proj, config, options).to(query.scalar_type())};
}

/// Weights of the modules' norms side by side, [modules · count].
at::Tensor norm_weights(const ModuleBank& bank, std::int64_t first, std::int64_t count) {
  std::vector<at::Tensor> parts;
  for (const Module& module : bank.modules) parts.push_back(module.head_norm.narrow(0, first, count));
  return at::stack(parts).flatten();
}

/// query [batch, tokens, modules, heads, size], key [batch, tokens, modules, size].
void norm_heads(const ModelConfig& config, const Block& block, at::Tensor& query, at::Tensor& key) {
  const double eps = config.form.block_eps;
  if (config.form.qk_norm == QkNorm::head) {
    query = kernels::rms_norm(query, block.q_norm, eps);
    key = kernels::rms_norm(key, block.k_norm, eps);
  } else if (config.form.qk_norm == QkNorm::whole) {
    const at::Tensor of_queries = norm_weights(block.att, 0, config.att_hidden);
    const at::Tensor of_keys = norm_weights(block.att, config.att_hidden, config.head_size());
    query = kernels::rms_norm(query.flatten(2), of_queries, eps).view_as(query);
    key = kernels::rms_norm(key.flatten(2), of_keys, eps).view_as(key);
  }
}

/// Where every module is taken: `slots` [batch, tokens, modules, att_hidden + 2 · size] hold each module's queries and
/// its own key and value. The modules are the heads of keys, their queries the slots.
Heads own_heads(const ModelConfig& config, const Block& block, const at::Tensor& slots) {
  const std::int64_t size = config.head_size();
  at::Tensor query = slots.narrow(3, 0, config.att_hidden).unflatten(3, {config.n_head, size});
  at::Tensor key = slots.narrow(3, config.att_hidden, size);
  at::Tensor value = slots.narrow(3, config.att_hidden + size, size);
  norm_heads(config, block, query, key);
  if (config.form.clip_qkv > 0) {
    const double most = config.form.clip_qkv;
    query = query.clamp(-most, most), key = key.clamp(-most, most), value = value.clamp(-most, most);
  }
  return {query.transpose(2, 3), key, value};
}

/// [batch, tokens, slots, heads, size]: what each query reads.
at::Tensor read_keys(const ModelConfig& config, std::size_t layer, const Heads& heads, const at::Tensor& key_mask) {
  const auto mask = key_mask.defined() ? std::optional(key_mask) : std::nullopt;
  if (config.form.attention == AttentionKind::stick_breaking) {
    return kernels::stick_breaking_attention(heads.query, heads.key, heads.value, mask);
  }
  const double scale = config.form.attention_scale > 0 ? config.form.attention_scale
                                                       : 1 / std::sqrt(static_cast<double>(config.head_size()));
  const std::int64_t window = config.form.window_of(static_cast<std::int64_t>(layer));
  return kernels::softmax_attention(heads.query, heads.key, heads.value, mask, scale, window);
}

}  // namespace

at::Tensor attention(const ModelConfig& config, const Block& block, std::size_t layer, const at::Tensor& x,
                     const Positions& positions, const ForwardOptions& options, BankTrace& trace) {
  const ModuleBank& bank = block.att;
  if (bank.modules.empty()) return with_bias(at::zeros_like(x), block.att_bias);
  const std::int64_t batch = x.size(0), tokens = x.size(1), chosen = bank.chosen();
  const at::Tensor flat = x.reshape({-1, x.size(2)});
  trace.decision = route(config, bank, flat, options);
  const auto dispatch = dispatch_of(bank, trace.decision);

  const at::Tensor input = options.bfloat16 ? flat.to(at::kBFloat16) : flat;
  const at::Tensor rows = through_first_maps(kernels::rows_from_tokens(input, dispatch), bank, dispatch, options);
  const at::Tensor slots =
      kernels::slots_from_rows(with_module_biases(rows, bank), dispatch).view({batch, tokens, chosen, -1});
  Heads heads = bank.routed ? shared_heads(config, block, x, slots, options) : own_heads(config, block, slots);
  if (positions.rotary.has_value()) {
    heads.query = kernels::rotate(heads.query, *positions.rotary, 0);
    heads.key = kernels::rotate(heads.key, *positions.rotary, 0);
  }
  if (options.cache != nullptr) std::tie(heads.key, heads.value) = options.cache->append(layer, heads.key, heads.value);
  at::Tensor read = read_keys(config, layer, heads, positions.key_mask);
  if (!bank.routed) read = read.transpose(2, 3);
  const at::Tensor taken =
      kernels::rows_from_slots(read.reshape({batch * tokens, chosen, config.att_hidden}), dispatch);
  return with_bias(through_second_maps(taken, bank, dispatch, options, trace).view_as(x), block.att_bias);
}

}  // namespace mformer::layers
