#include "core/model/dense_step.h"

#include <algorithm>

#include "core/model/rotary.h"
#include "kernels/dense_step.h"

namespace mformer {
namespace {

/// Of the kernel.
constexpr std::int64_t kMostQueriesOfAStep = 16;

bool is_dense(const PreparedBlock& block) {
  return block.att.whole_in.defined() && block.mlp.whole_in.defined() && !block.shared_in.defined();
}

kernels::DenseForm dense_form(const PreparedModel& model) {
  const ModelConfig& config = model.config;
  const ModelForm& form = config.form;
  kernels::DenseForm dense;
  dense.dtype = model.dtype;
  dense.rms = form.norm == NormKind::rms;
  dense.epsilon = form.block_eps;
  dense.queries = config.n_head, dense.head_size = config.head_size();
  dense.slice_hidden = form.slice_hidden;
  dense.gated = form.gated, dense.activation = model.activation;
  dense.score_scale = config.score_scale(), dense.residual_scale = form.residual_scale;
  return dense;
}

}  // namespace

bool takes_dense_steps(const PreparedModel& model) {
  const ModelConfig& config = model.config;
  const ModelForm& form = config.form;
  const bool plain = form.attention == AttentionKind::softmax && form.qk_norm != QkNorm::whole && form.clip_qkv <= 0 &&
                     config.n_head <= kMostQueriesOfAStep;
  return plain && std::all_of(model.blocks.begin(), model.blocks.end(), is_dense);
}

void dense_step(const PreparedModel& model, KeyValueCache& cache, at::Tensor& x) {
  const ModelForm& form = model.config.form;
  const kernels::DenseForm dense = dense_form(model);
  kernels::RotaryTable rotary;
  if (form.rotary.kind != RotaryKind::none) {
    rotary = rotary_positions(form.rotary, dense.head_size, cache.length(), 1);
  }
  std::vector<kernels::DenseLayer> layers;
  layers.reserve(model.blocks.size());
  for (std::size_t l = 0; l < model.blocks.size(); ++l) {
    const PreparedBlock& block = model.blocks[l];
    auto [key, value] = cache.room(l, {1, block.att.size(), dense.head_size, at::TensorOptions(model.dtype)}, 1);
    layers.push_back({block.ln_1.weight, block.ln_1.bias, block.ln_2.weight, block.ln_2.bias, block.att.whole_in,
                      block.att.whole_out, block.att.in_bias, block.att_bias, block.q_norm, block.k_norm,
                      block.mlp.whole_in, block.mlp.whole_out, block.mlp.in_bias, block.mlp_bias, std::move(key),
                      std::move(value), form.window_of(static_cast<std::int64_t>(l)), block.att.size(),
                      block.mlp.size()});
  }
  kernels::dense_step(dense, layers, cache.length(), rotary.cos, rotary.sin, x);
  cache.advance(1);
}

}  // namespace mformer
