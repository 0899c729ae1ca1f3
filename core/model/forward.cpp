#include "core/model/forward.h"

#include <ATen/ops/embedding.h>

#include "core/model/layers.h"
#include "core/model/pass_inputs.h"
#include "core/model/rotary.h"
#include "kernels/linear.h"
#include "kernels/quantised_blocks.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

at::Tensor scaled(const at::Tensor& x, double scale) {
  return scale == 1 ? x : x * scale;
}

layers::Positions positions_of(const ModelConfig& config, const ForwardOptions& options, const at::Tensor& key_mask,
                               const at::Tensor& x) {
  layers::Positions positions{key_mask, std::nullopt};
  if (config.form.rotary.kind == RotaryKind::none) return positions;
  const std::int64_t cached = options.cache != nullptr ? options.cache->length() : 0;
  const auto table = rotary_positions(config.form.rotary, config.head_size(), cached, x.size(1));
  positions.rotary = kernels::RotaryTable{table.cos.to(x.device()), table.sin.to(x.device())};
  return positions;
}

}  // namespace

at::Tensor head_input(const Model& model, const at::Tensor& hidden, bool bfloat16) {
  const at::Tensor divided = scaled(hidden, 1 / model.config.form.logit_divisor);
  return bfloat16 || model.bfloat16_matrices ? divided.to(at::kBFloat16) : divided;
}

at::Tensor head_for(const Model& model, const at::Tensor& rows) {
  return kernels::as_numbers(model.lm_head, model.config.n_embd, rows.scalar_type());
}

namespace {

at::Tensor embedding_of(const Model& model, const at::Tensor& ids) {
  if (!kernels::is_blocks(model.wte)) return at::embedding(model.wte, ids);
  const at::Tensor rows = model.wte.index_select(0, ids.flatten());
  const at::Tensor values = kernels::dequantize_blocks(rows, model.config.n_embd, model.ln_f.weight.scalar_type());
  return values.view({ids.size(0), ids.size(1), -1});
}

}  // namespace

ForwardOutput forward(const Model& model, const at::Tensor& ids, const ForwardOptions& asked) {
  if (!model.domains.empty())
    throw Error("a model with domains is run as one of its views", "see core/model/domains.h");
  check_ids(ids, model.config.vocab_size);
  at::Tensor key_mask = checked_mask(asked, ids);
  const at::Tensor input_ids = ids.to(model.wte.device());
  if (key_mask.defined()) key_mask = key_mask.to(model.wte.device());
  ForwardOptions options = asked;
  options.bfloat16 = asked.bfloat16 || model.bfloat16_matrices;
  const ModelConfig& config = model.config;
  const ModelForm& form = config.form;
  ForwardOutput output;
  output.routing.resize(model.blocks.size());
  // The residual stream has the norms' dtype: float32 also where the matrices are bfloat16.
  const at::Tensor embedded = embedding_of(model, input_ids).to(model.ln_f.weight.scalar_type());
  at::Tensor x = layers::dropout(scaled(embedded, form.embedding_scale), config.embd_pdrop, options);
  const layers::Positions positions = positions_of(config, options, key_mask, x);
  for (std::size_t l = 0; l < model.blocks.size(); ++l) {
    if (options.hidden_states) output.hidden_states.push_back(x);
    const Block& block = model.blocks[l];
    BlockTrace& trace = output.routing[l];
    const layers::BankInput first = layers::normed(config, x, block.ln_1, block.att, options);
    const at::Tensor att = layers::attention(config, block, l, first, positions, options, trace.att);
    x = x + scaled(layers::dropout(att, config.resid_pdrop, options), form.residual_scale);
    const layers::BankInput second = layers::normed(config, x, block.ln_2, block.mlp, options);
    const at::Tensor mlp = layers::feed_forward(config, block, second, options, trace.mlp);
    x = x + scaled(layers::dropout(mlp.view_as(x), config.resid_pdrop, options), form.residual_scale);
  }
  output.hidden = layers::norm(form.norm, x, model.ln_f, form.final_eps);
  if (options.hidden_states) output.hidden_states.push_back(output.hidden);
  if (options.cache != nullptr) options.cache->advance(input_ids.size(1));
  return output;
}

at::Tensor logits_of(const Model& model, const at::Tensor& hidden, bool bfloat16) {
  const at::Tensor rows = head_input(model, hidden, bfloat16);
  const at::Tensor logits = kernels::linear(rows, head_for(model, rows), {});
  return logits.scalar_type() == at::kDouble ? logits : logits.to(at::kFloat);
}

}  // namespace mformer
