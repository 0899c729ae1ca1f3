#include <ATen/core/grad_mode.h>

#include "core/model/inference.h"
#include "kernels/module_dispatch.h"
#include "kernels/stick_breaking_attention.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

using kernels::PackedWeight;

void check(const ForwardOptions& options) {
  const char* asked = at::GradMode::is_enabled() ? "gradients"
                      : options.training         ? "training"
                      : options.norms            ? "norms of module outputs"
                                                 : nullptr;
  if (asked != nullptr) {
    throw Error(std::string("a model prepared for inference gives no ") + asked, "use the model as it was loaded");
  }
}

/// One pass of a batch through a prepared model. Rows are tokens, flattened batch-major.
class Pass {
 public:
  Pass(const Model& model, const at::Tensor& input_ids, const at::Tensor& key_mask, const ForwardOptions& options)
      : config_(model.config),
        prepared_(*model.prepared),
        options_(options),
        batch_(input_ids.size(0)),
        tokens_(input_ids.size(1)),
        x_(kernels::embedding(model.wte, input_ids.contiguous().view({-1}))) {
    if (key_mask.defined()) key_mask_ = key_mask;
  }

  ForwardOutput run() {
    ForwardOutput output;
    for (std::size_t l = 0; l < prepared_.blocks.size(); ++l) {
      if (options_.hidden_states) output.hidden_states.push_back(x_.clone().view({batch_, tokens_, -1}));
      const PreparedBlock& block = prepared_.blocks[l];
      attention(block, l, norm(block.ln_1));
      feed_forward(block.mlp, norm(block.ln_2));
    }
    output.hidden = norm(prepared_.ln_f).view({batch_, tokens_, -1});
    if (options_.hidden_states) output.hidden_states.push_back(output.hidden);
    if (options_.cache != nullptr) options_.cache->advance(tokens_);
    return output;
  }

 private:
  at::Tensor norm(const Affine& affine) const {
    return kernels::layer_norm(x_, affine.weight, affine.bias, prepared_.dtype);
  }

  kernels::Choice route(const PreparedBank& bank, std::int64_t k, const at::Tensor& x) const {
    at::Tensor logits;
    if (!bank.router.defined()) {
      logits = kernels::packed_linear(x, bank.rows, {}, /*float32=*/true);
    } else {
      at::Tensor z = kernels::packed_linear(x, bank.router, bank.router_bias, /*float32=*/true);
      if (config_.gate_type == "gmm") {
        kernels::normalize_rows(z);
      } else {
        kernels::activate(kernels::Activation::gelu, z);
      }
      logits = kernels::packed_linear(z, bank.rows, {}, /*float32=*/true);
    }
    if (bank.temperature != 1.0F) logits.mul_(bank.temperature);
    return kernels::choose(logits, k);
  }

  static at::Tensor through(const std::vector<PackedWeight>& weights, const at::Tensor& rows,
                            const kernels::ModuleDispatch& dispatch) {
    return kernels::packed_grouped_linear(rows, dispatch.offset, weights);
  }

  void feed_forward(const PreparedBank& bank, const at::Tensor& x) {
    const kernels::Choice choice = route(bank, config_.k_mlp, x);
    const auto dispatch = kernels::plan_dispatch(choice.modules, static_cast<std::int64_t>(bank.in.size()));
    at::Tensor hidden = through(bank.in, kernels::rows_from_tokens(x, dispatch), dispatch);
    kernels::activate(prepared_.activation, hidden);
    kernels::add_combined(through(bank.out, hidden, dispatch), choice.gates, dispatch, x_);
  }

  at::Tensor heads(const at::Tensor& x) const { return x.view({batch_, tokens_, config_.n_head, config_.head_size()}); }

  /// Keys and values of these tokens and of those in the cache.
  std::pair<at::Tensor, at::Tensor> keys_and_values(const PreparedBlock& block, std::size_t layer,
                                                    const at::Tensor& x) const {
    const bool projected = block.k_proj.defined();
    const at::Tensor key = heads(projected ? kernels::packed_linear(x, block.k_proj, block.k_bias) : x);
    const at::Tensor value = projected ? heads(kernels::packed_linear(x, block.v_proj, block.v_bias)) : key;
    if (options_.cache == nullptr) return {key, value};
    return options_.cache->append(layer, key, value);
  }

  void attention(const PreparedBlock& block, std::size_t layer, const at::Tensor& x) {
    const PreparedBank& bank = block.att;
    const std::int64_t k = config_.k_att;
    const kernels::Choice choice = route(bank, k, x);
    const auto dispatch = kernels::plan_dispatch(choice.modules, static_cast<std::int64_t>(bank.in.size()));
    const at::Tensor rows = through(bank.in, kernels::rows_from_tokens(x, dispatch), dispatch);
    const at::Tensor query =
        kernels::slots_from_rows(rows, dispatch).view({batch_, tokens_, k, config_.n_head, config_.head_size()});
    const auto [key, value] = keys_and_values(block, layer, x);
    const at::Tensor read = kernels::stick_breaking_attention(query, key, value, key_mask_);
    const at::Tensor out = kernels::rows_from_slots(read.view({batch_ * tokens_, k, config_.att_hidden}), dispatch);
    kernels::add_combined(through(bank.out, out, dispatch), choice.gates, dispatch, x_);
  }

  const ModelConfig& config_;
  const PreparedModel& prepared_;
  const ForwardOptions& options_;
  const std::int64_t batch_, tokens_;
  std::optional<at::Tensor> key_mask_;
  at::Tensor x_;  ///< [tokens, n_embd] float32, the residual stream
};

}  // namespace

ForwardOutput prepared_forward(const Model& model, const at::Tensor& input_ids, const at::Tensor& key_mask,
                               const ForwardOptions& options) {
  check(options);
  return Pass(model, input_ids, key_mask, options).run();
}

}  // namespace mformer
