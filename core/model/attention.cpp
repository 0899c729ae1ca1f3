#include "core/model/layers.h"
#include "kernels/stick_breaking_attention.h"

namespace mformer::layers {
namespace {

/// [batch, tokens, heads, head_size] of keys or values; the identity where the model has no projection.
at::Tensor projected(const at::Tensor& x, const Affine& projection, const ModelConfig& config,
                     const ForwardOptions& options) {
  const at::Tensor y = projection.weight.defined() ? linear(x, projection.weight, projection.bias, options) : x;
  return y.view({x.size(0), x.size(1), config.n_head, config.head_size()});
}

}  // namespace

at::Tensor attention(const ModelConfig& config, const Block& block, std::size_t layer, const at::Tensor& x,
                     const at::Tensor& key_mask, const ForwardOptions& options, BankTrace& trace) {
  const std::int64_t batch = x.size(0), tokens = x.size(1), k = block.att.k;
  const at::Tensor flat = x.reshape({-1, x.size(2)});
  trace.decision = route(config, block.att, flat, options);
  const auto dispatch =
      kernels::plan_dispatch(trace.decision.indices, static_cast<std::int64_t>(block.att.modules.size()));

  const at::Tensor input = options.bfloat16 ? flat.to(at::kBFloat16) : flat;
  const at::Tensor queries =
      through_modules(kernels::rows_from_tokens(input, dispatch), block.att, &Module::in, dispatch, options);
  const at::Tensor query =
      kernels::slots_from_rows(queries, dispatch).view({batch, tokens, k, config.n_head, config.head_size()});
  at::Tensor key = projected(x, block.k_proj, config, options).to(query.scalar_type());
  at::Tensor value = projected(x, block.v_proj, config, options).to(query.scalar_type());
  if (options.cache != nullptr) std::tie(key, value) = options.cache->append(layer, key, value);

  const auto mask = key_mask.defined() ? std::optional(key_mask) : std::nullopt;
  const at::Tensor read = kernels::stick_breaking_attention(query, key, value, mask);
  const at::Tensor rows = kernels::rows_from_slots(read.view({batch * tokens, k, config.att_hidden}), dispatch);
  const at::Tensor out = through_modules(rows, block.att, &Module::out, dispatch, options);
  if (options.norms) trace.output_norms = norms_by_slot(out, dispatch);
  return kernels::combine(out, trace.decision.gates, dispatch).view_as(x);
}

}  // namespace mformer::layers
