#include "core/model/token_step.h"

#include <ATen/ops/empty.h>

#include <algorithm>

#include "core/model/rotary.h"
#include "kernels/token_step.h"

namespace mformer {
namespace {

bool is_plain(const PreparedBlock& block) {
  const PreparedBank& mlp = block.mlp;
  const bool linear = mlp.routed && !mlp.router.defined() && mlp.temperature == 1.0F;
  return block.att.whole_in.defined() && (mlp.whole_in.defined() || linear) && !block.shared_in.defined();
}

/// The router with room for what it chooses, which `decision` keeps.
kernels::TokenRouter router_of(const ModelConfig& config, const PreparedBank& bank, RouterDecision& decision) {
  const std::int64_t k = config.k_mlp;
  decision.probs = at::empty({1, bank.size()}, at::kFloat), decision.gates = at::empty({1, k}, at::kFloat);
  decision.indices = at::empty({1, k}, at::kLong);
  return {bank.rows,      bank.in,          bank.out,      k, {config.form.top_k_first, config.form.renormalise},
          decision.probs, decision.indices, decision.gates};
}

kernels::TokenForm token_form(const PreparedModel& model) {
  const ModelConfig& config = model.config;
  const ModelForm& form = config.form;
  kernels::TokenForm step;
  step.dtype = model.dtype;
  step.rms = form.norm == NormKind::rms;
  step.epsilon = form.block_eps;
  step.queries = config.n_head, step.head_size = config.head_size();
  step.gated = form.gated, step.activation = model.activation;
  step.score_scale = config.score_scale(), step.residual_scale = form.residual_scale;
  return step;
}

}  // namespace

bool takes_token_steps(const PreparedModel& model) {
  const ModelConfig& config = model.config;
  const ModelForm& form = config.form;
  const bool plain = form.attention == AttentionKind::softmax && form.qk_norm != QkNorm::whole && form.clip_qkv <= 0 &&
                     config.n_head <= kernels::kMostQueries;
  return plain && std::all_of(model.blocks.begin(), model.blocks.end(), is_plain);
}

void token_step(const PreparedModel& model, KeyValueCache& cache, at::Tensor& x, std::vector<BlockTrace>& routing) {
  const ModelForm& form = model.config.form;
  const kernels::TokenForm step = token_form(model);
  kernels::RotaryTable rotary;
  if (form.rotary.kind != RotaryKind::none) {
    rotary = rotary_positions(form.rotary, step.head_size, cache.length(), 1);
  }
  std::vector<kernels::TokenLayer> layers;
  layers.reserve(model.blocks.size());
  for (std::size_t l = 0; l < model.blocks.size(); ++l) {
    const PreparedBlock& block = model.blocks[l];
    const auto layer = static_cast<std::int64_t>(l);
    auto [key, value] = cache.room(l, {1, block.att.size(), step.head_size, at::TensorOptions(model.dtype)}, 1);
    layers.push_back(
        {block.ln_1.weight,     block.ln_1.bias,     block.ln_2.weight,  block.ln_2.bias,
         block.att.whole_in,    block.att.whole_out, block.att.in_bias,  block.att_bias,
         block.q_norm,          block.k_norm,        block.mlp.whole_in, block.mlp.whole_out,
         block.mlp.in_bias,     block.mlp_bias,      std::move(key),     std::move(value),
         form.window_of(layer), block.att.size(),    block.mlp.size(),   model.config.hidden(Kind::mlp, layer),
         std::nullopt});
    if (block.mlp.routed) layers.back().router.emplace(router_of(model.config, block.mlp, routing[l].mlp.decision));
  }
  kernels::token_step(step, layers, cache.length(), rotary.cos, rotary.sin, x);
  cache.advance(1);
}

}  // namespace mformer
