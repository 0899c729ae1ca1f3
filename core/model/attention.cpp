#include <ATen/core/grad_mode.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros_like.h>

#include "core/model/heads.h"
#include "core/model/layers.h"

namespace mformer::layers {
namespace {

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

Heads module_heads(const ModelConfig& config, const Block& block, const at::Tensor& slots) {
  if (config.form.qk_norm != QkNorm::whole) return own_heads(config, slots, block.q_norm, block.k_norm);
  return own_heads(config, slots, norm_weights(block.att, 0, config.att_hidden),
                   norm_weights(block.att, config.att_hidden, config.head_size()));
}

/// What the queries of an unrouted bank read [batch, tokens, queries, modules, size], module after module, each with
/// all tokens: [modules · batch · tokens, att_hidden].
at::Tensor module_rows(const at::Tensor& read) {
  return read.permute({3, 0, 1, 2, 4})
      .reshape({read.size(3) * read.size(0) * read.size(1), read.size(2) * read.size(4)});
}

/// What the second maps take, made again from what attention's own gradients keep.
BankInput taken_rows(const at::Tensor& read) {
  BankInput taken{module_rows(read)};
  if (!at::GradMode::is_enabled()) return taken;
  taken.again = {{read}, [](const std::vector<at::Tensor>& from) { return module_rows(from[0]); }};
  return taken;
}

}  // namespace

at::Tensor attention(const ModelConfig& config, const Block& block, std::size_t layer, const BankInput& normed,
                     const Positions& positions, const ForwardOptions& options, BankTrace& trace) {
  const ModuleBank& bank = block.att;
  const at::Tensor& x = normed.values;
  if (bank.modules.empty()) return with_bias(at::zeros_like(x), block.att_bias);
  const std::int64_t batch = x.size(0), tokens = x.size(1), chosen = bank.chosen();
  const at::Tensor flat = x.reshape({-1, x.size(2)});
  trace.decision = route(config, bank, flat, options);
  const auto dispatch = dispatch_of(bank, trace.decision);

  const at::Tensor input = options.bfloat16 ? flat.to(at::kBFloat16) : flat;
  const BankInput read_by_modules = at_modules({kernels::rows_from_tokens(input, dispatch), normed.again}, dispatch);
  const at::Tensor rows = at_tokens(through_first_maps(read_by_modules, bank, dispatch, options), dispatch);
  const at::Tensor slots =
      kernels::slots_from_rows(with_module_biases(rows, bank), dispatch).view({batch, tokens, chosen, -1});
  const Heads heads = bank.routed ? shared_heads(config, block, x, slots, options) : module_heads(config, block, slots);
  const auto mask = positions.key_mask.defined() ? std::optional(positions.key_mask) : std::nullopt;
  const at::Tensor read = read_heads(config, layer, heads, positions.rotary, mask, options.cache);
  const BankInput taken =
      bank.routed
          ? BankInput{kernels::rows_from_slots(read.reshape({batch * tokens, chosen, config.att_hidden}), dispatch)}
          : taken_rows(read);
  return with_bias(through_second_maps(at_modules(taken, dispatch), bank, dispatch, options, trace).view_as(x),
                   block.att_bias);
}

}  // namespace mformer::layers
