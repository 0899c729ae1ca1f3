#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/ones.h>

#include "core/model/heads.h"
#include "core/model/inference.h"
#include "core/model/parts_forward.h"
#include "core/model/pass_inputs.h"
#include "core/model/rotary.h"
#include "core/model/token_step.h"
#include "kernels/module_dispatch.h"
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
  Pass(const PreparedModel& model, const at::Tensor& input_ids, const at::Tensor& key_mask,
       const ForwardOptions& options, std::span<const TextPart> parts = {})
      : config_(model.config),
        form_(model.config.form),
        prepared_(model),
        options_(options),
        parts_(parts),
        batch_(input_ids.size(0)),
        tokens_(input_ids.size(1)),
        x_(kernels::embedding(model.wte, model.config.n_embd, input_ids.contiguous().view({-1}))) {
    if (key_mask.defined()) key_mask_ = key_mask;
    if (form_.embedding_scale != 1) x_.mul_(form_.embedding_scale);
    if (!parts.empty()) {
      if (form_.rotary.kind != RotaryKind::none) rotary_ = rotary_of_parts();
      return;
    }
    at_once_ = batch_ * tokens_ == 1 && options.cache != nullptr && !key_mask_ && !options.hidden_states &&
               takes_token_steps(model);
    if (at_once_ || form_.rotary.kind == RotaryKind::none) return;
    const std::int64_t cached = options.cache != nullptr ? options.cache->length() : 0;
    rotary_ = rotary_positions(form_.rotary, config_.head_size(), cached, tokens_);
  }

  ForwardOutput run() {
    ForwardOutput output;
    output.routing.resize(prepared_.blocks.size());
    if (at_once_) {
      token_step(prepared_, *options_.cache, x_, output.routing);
      output.hidden = last_norm();
      return output;
    }
    for (std::size_t l = 0; l < prepared_.blocks.size(); ++l) {
      if (options_.hidden_states) output.hidden_states.push_back(x_.clone().view({batch_, tokens_, -1}));
      const PreparedBlock& block = prepared_.blocks[l];
      attention(block, l, normed(block.ln_1, block.att), output.routing[l].att.decision);
      feed_forward(block, normed(block.ln_2, block.mlp), output.routing[l].mlp.decision);
    }
    output.hidden = last_norm();
    if (options_.hidden_states) output.hidden_states.push_back(output.hidden);
    if (options_.cache != nullptr) options_.cache->advance(tokens_);
    for (const TextPart& part : parts_) part.cache->advance(part.tokens);
    return output;
  }

 private:
  kernels::RotaryTable rotary_of_parts() const {
    std::vector<at::Tensor> cos, sin;
    for (const TextPart& part : parts_) {
      auto table = rotary_positions(form_.rotary, config_.head_size(), part.cache->length(), part.tokens);
      cos.push_back(std::move(table.cos)), sin.push_back(std::move(table.sin));
    }
    return {at::cat(cos), at::cat(sin)};
  }

  at::Tensor read_keys(std::size_t layer, const Heads& made, const std::optional<kernels::RotaryTable>& rotary) const {
    if (!parts_.empty()) return attend(config_, layer, made, rotary, parts_);
    return attend(config_, layer, made, rotary, key_mask_, options_.cache);
  }

  at::Tensor norm(const Affine& affine, double eps, at::ScalarType dtype) const {
    if (form_.norm == NormKind::rms) return kernels::rms_norm(x_, affine.weight, eps, dtype);
    return kernels::layer_norm(x_, affine.weight, affine.bias, dtype);
  }

  at::Tensor last_norm() const {
    return norm(prepared_.ln_f, form_.final_eps, prepared_.dtype).view({batch_, tokens_, -1});
  }

  /// What a half block reads. A choice is discrete: where a router's rows are multiplied with the input itself, they
  /// get it unrounded, so that bfloat16 does not send tokens to other modules.
  struct Input {
    at::Tensor x;       ///< In the prepared dtype.
    at::Tensor router;  ///< float32, or x.
  };

  Input normed(const Affine& affine, const PreparedBank& bank) const {
    const bool exact = prepared_.dtype != at::kFloat && bank.routed && !bank.router.defined();
    if (!exact) {
      const at::Tensor x = norm(affine, form_.block_eps, prepared_.dtype);
      return {x, x};
    }
    const at::Tensor x = norm(affine, form_.block_eps, at::kFloat);
    return {x.to(prepared_.dtype), x};
  }

  kernels::Choice route(const PreparedBank& bank, std::int64_t k, const at::Tensor& x, RouterDecision& decision) const {
    if (!bank.routed) return take_all(bank, x.size(0));
    at::Tensor logits;
    if (!bank.router.defined()) {
      logits = kernels::packed_linear(x, bank.rows, {}, /*float32=*/true);
    } else {
      at::Tensor z = kernels::packed_linear(x, bank.router, bank.router_bias, /*float32=*/true);
      if (config_.gate_type == GateType::gmm) {
        kernels::normalize_rows(z);
      } else {
        kernels::activate(kernels::Activation::gelu, z);
      }
      logits = kernels::packed_linear(z, bank.rows, {}, /*float32=*/true);
    }
    if (bank.temperature != 1.0F) logits.mul_(bank.temperature);
    const kernels::Choice choice = kernels::choose(logits, k, {form_.top_k_first, form_.renormalise});
    decision.probs = logits, decision.indices = choice.modules, decision.gates = choice.gates;
    return choice;
  }

  static kernels::Choice take_all(const PreparedBank& bank, std::int64_t tokens) {
    return {at::arange(bank.size(), at::kLong).expand({tokens, bank.size()}).contiguous(),
            at::ones({tokens, bank.size()})};
  }

  static at::Tensor through(const std::vector<PackedWeight>& weights, const at::Tensor& rows,
                            const kernels::ModuleDispatch& dispatch) {
    return kernels::packed_grouped_linear(rows, dispatch.offset.on_host(), weights);
  }

  /// Through the modules' first maps, biases added: [tokens · modules taken, columns].
  static at::Tensor raise(const PreparedBank& bank, const at::Tensor& x, const kernels::ModuleDispatch& dispatch) {
    const at::Tensor rows = through(bank.in, kernels::rows_from_tokens(x, dispatch), dispatch);
    if (!bank.in_bias.defined()) return rows;
    rows.view({bank.size(), -1, rows.size(1)}).add_(bank.in_bias.unsqueeze(1));
    return rows;
  }

  static kernels::ModuleDispatch dispatch_of(const PreparedBank& bank, const kernels::Choice& choice) {
    if (bank.routed) return kernels::plan_dispatch(choice.modules, bank.size());
    return kernels::dispatch_to_all(choice.modules.size(0), bank.size(), at::kCPU);
  }

  /// Adds to the residual stream what the modules put out, rows [tokens · modules taken, hidden].
  void add_second_maps(const PreparedBank& bank, const at::Tensor& rows, const kernels::Choice& choice,
                       const kernels::ModuleDispatch& dispatch) {
    if (dispatch.to_all) {
      x_.add_(kernels::packed_grouped_linear_sum(rows, dispatch.offset.on_host(), bank.out, /*float32=*/true),
              form_.residual_scale);
    } else {
      kernels::add_combined(through(bank.out, rows, dispatch), choice.gates, dispatch, x_, form_.residual_scale);
    }
  }

  // An unrouted bank as one dense layer: a token's modules are side by side in its row.

  static at::Tensor raise_whole(const PreparedBank& bank, const at::Tensor& x) {
    return kernels::packed_linear(x, bank.whole_in, bank.in_bias.defined() ? bank.in_bias.flatten() : at::Tensor());
  }

  void add_whole(const PreparedBank& bank, const at::Tensor& rows) {
    x_.add_(kernels::packed_linear(rows, bank.whole_out, {}, /*float32=*/true), form_.residual_scale);
  }

  void add_bias(const at::Tensor& bias) {
    if (bias.defined()) x_.add_(bias, form_.residual_scale);
  }

  at::Tensor between_maps(at::Tensor rows) const {
    if (form_.gated) return kernels::gated_activate(prepared_.activation, rows);
    kernels::activate(prepared_.activation, rows);
    return rows;
  }

  void feed_forward(const PreparedBlock& block, const Input& input, RouterDecision& decision) {
    const at::Tensor& x = input.x;
    const PreparedBank& bank = block.mlp;
    if (bank.whole_in.defined()) {
      const at::Tensor hidden = between_maps(raise_whole(bank, x).view({x.size(0) * bank.size(), -1}));
      add_whole(bank, hidden.view({x.size(0), -1}));
    } else if (bank.size() > 0) {
      const kernels::Choice choice = route(bank, config_.k_mlp, input.router, decision);
      const auto dispatch = dispatch_of(bank, choice);
      add_second_maps(bank, between_maps(raise(bank, x, dispatch)), choice, dispatch);
    }
    if (block.shared_in.defined()) add_shared(block, x);
    add_bias(block.mlp_bias);
  }

  void add_shared(const PreparedBlock& block, const at::Tensor& x) {
    const at::Tensor hidden = between_maps(kernels::packed_linear(x, block.shared_in, {}));
    at::Tensor out = kernels::packed_linear(hidden, block.shared_out, {}, /*float32=*/true);
    if (block.shared_gate.defined()) out.mul_(at::linear(x.to(at::kFloat), block.shared_gate).sigmoid_());
    x_.add_(out, form_.residual_scale);
  }

  at::Tensor heads(const at::Tensor& x) const { return x.view({batch_, tokens_, config_.n_head, config_.head_size()}); }

  /// Queries of the chosen modules, and keys and values that the layer computes for all of them.
  Heads shared_heads(const PreparedBlock& block, const at::Tensor& x, const at::Tensor& slots) const {
    const bool projected = block.k_proj.defined();
    Heads made;
    made.query = slots.view({batch_, tokens_, slots.size(1), config_.n_head, config_.head_size()});
    made.key = heads(projected ? kernels::packed_linear(x, block.k_proj, block.k_bias) : x);
    made.value = projected ? heads(kernels::packed_linear(x, block.v_proj, block.v_bias)) : made.key;
    return made;
  }

  Heads module_heads(const PreparedBlock& block, const at::Tensor& flat) const {
    const at::Tensor slots = flat.view({batch_, tokens_, flat.size(-2), -1});
    if (form_.qk_norm != QkNorm::whole) return own_heads(config_, slots, block.q_norm, block.k_norm);
    return own_heads(config_, slots, block.att.query_norm, block.att.key_norm);
  }

  void attention(const PreparedBlock& block, std::size_t layer, const Input& input, RouterDecision& decision) {
    const at::Tensor& x = input.x;
    const PreparedBank& bank = block.att;
    if (bank.size() == 0) return add_bias(block.att_bias);
    if (bank.whole_in.defined()) {
      at::Tensor slots = raise_whole(bank, x).view({batch_, tokens_, bank.size(), -1});
      // Turned where they lie: a decoded token would notice two copies more.
      const bool in_place = rotary_.has_value() && form_.qk_norm == QkNorm::none && form_.clip_qkv <= 0;
      if (in_place) kernels::rotate_in_place(slots, *rotary_, config_.n_head + 1);
      const at::Tensor read = read_keys(layer, module_heads(block, slots), in_place ? std::nullopt : rotary_);
      add_whole(bank, read.view({x.size(0), -1}));
      return add_bias(block.att_bias);
    }
    const kernels::Choice choice = route(bank, config_.k_att, input.router, decision);
    const auto dispatch = dispatch_of(bank, choice);
    const at::Tensor slots = kernels::slots_from_rows(raise(bank, x, dispatch), dispatch);
    const Heads made = bank.routed ? shared_heads(block, x, slots) : module_heads(block, slots);
    const at::Tensor rows = kernels::rows_from_slots(read_keys(layer, made, rotary_), dispatch);
    add_second_maps(bank, rows, choice, dispatch);
    add_bias(block.att_bias);
  }

  const ModelConfig& config_;
  const ModelForm& form_;
  const PreparedModel& prepared_;
  const ForwardOptions& options_;
  const std::span<const TextPart> parts_;  ///< Of a batch of one, in which texts follow each other; empty = no parts.
  const std::int64_t batch_, tokens_;
  bool at_once_ = false;  ///< One token, in one go through all layers.
  std::optional<at::Tensor> key_mask_;
  std::optional<kernels::RotaryTable> rotary_;
  at::Tensor x_;  ///< [tokens, n_embd] float32, the residual stream
};

}  // namespace

ForwardOutput forward(const PreparedModel& model, const at::Tensor& ids, const ForwardOptions& options) {
  check(options);
  check_ids(ids, model.config.vocab_size);
  return Pass(model, ids, checked_mask(options, ids), options).run();
}

at::Tensor forward_parts(const PreparedModel& model, const at::Tensor& ids, std::span<const TextPart> parts,
                         std::vector<BlockTrace>* routing) {
  ForwardOptions how;
  if (parts.size() == 1) how.cache = parts[0].cache, parts = {};  // a single token then takes the shortest way
  const at::Tensor input = ids.unsqueeze(0);
  check(how);
  check_ids(input, model.config.vocab_size);
  ForwardOutput output = Pass(model, input, {}, how, parts).run();
  if (routing != nullptr) *routing = std::move(output.routing);
  return output.hidden[0];
}

at::Tensor logits_of(const PreparedModel& model, const at::Tensor& hidden) {
  const double divisor = model.config.form.logit_divisor;
  const at::Tensor rows = divisor == 1 ? hidden : hidden / divisor;
  return kernels::packed_linear(rows.contiguous(), model.head, {}, /*float32=*/true);
}

}  // namespace mformer
