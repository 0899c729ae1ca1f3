#include "core/model/layers.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include "core/model/activation.h"
#include "kernels/gated_activation.h"
#include "kernels/grouped_linear.h"
#include "kernels/linear.h"
#include "kernels/quantised_blocks.h"
#include "kernels/rms_norm.h"
#include "modules_registry/error.h"

namespace mformer::layers {
namespace {

at::Tensor in_dtype(const at::Tensor& x, const ForwardOptions& options) {
  return options.bfloat16 ? x.to(at::kBFloat16) : x;
}

/// The matrix `which`, of `inputs` inputs; that of a quantised module as `dtype`, or just its shape where no row uses
/// it.
at::Tensor floating(const Module& module, at::Tensor Module::*which, std::int64_t inputs, at::ScalarType dtype,
                    bool used) {
  const at::Tensor& weight = module.*which;
  if (kernels::is_blocks(weight)) {
    if (used) return kernels::dequantize_blocks(weight, inputs, dtype).t().contiguous();
    return at::zeros({}, weight.options().dtype(dtype)).expand({inputs, weight.size(0)});
  }
  if (weight.scalar_type() != at::kChar) return weight;
  if (!used) return at::zeros({}, weight.options().dtype(dtype)).expand(weight.sizes());
  const at::Tensor& scale = which == &Module::in ? module.in_scale : module.out_scale;
  return (weight.to(at::kFloat) * scale).to(dtype);
}

}  // namespace

at::Tensor norm(NormKind kind, const at::Tensor& x, const Affine& norm, double eps) {
  if (kind == NormKind::rms) return kernels::rms_norm(x, norm.weight, eps);
  return at::layer_norm(x, {x.size(-1)}, norm.weight, norm.bias, eps);
}

BankInput normed(const ModelConfig& config, const at::Tensor& x, const Affine& weights, const ModuleBank& bank,
                 const ForwardOptions& options) {
  const auto made = [kind = config.form.norm, eps = config.form.block_eps, weights](const at::Tensor& from) {
    return norm(kind, from, weights, eps);
  };
  BankInput input{made(x)};
  if (bank.routed || !at::GradMode::is_enabled()) return input;
  const auto dtype = options.bfloat16 ? at::kBFloat16 : input.values.scalar_type();
  input.again = {{x},
                 [made, dtype](const std::vector<at::Tensor>& from) { return made(from[0]).flatten(0, -2).to(dtype); }};
  return input;
}

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                  const ForwardOptions& options) {
  const at::Tensor input = in_dtype(x, options);
  const at::Tensor numbers = kernels::as_numbers(weight, x.size(-1), input.scalar_type());
  return kernels::linear(input, numbers, bias.defined() ? bias.to(numbers.scalar_type()) : bias);
}

at::Tensor among_all(const at::Tensor& x, double filling, const ForwardOptions& options) {
  const RowShare& share = options.share;
  if (share.is_whole()) return x;
  std::vector<std::int64_t> shape = x.sizes().vec();
  const std::int64_t of_row = shape[0] / share.rows;
  shape[0] = of_row * share.all;
  const at::Tensor all = at::empty(shape, x.options()).fill_(filling);
  all.narrow(0, of_row * share.first, x.size(0)).copy_(x);
  return all;
}

at::Tensor own_of_all(const at::Tensor& all, const ForwardOptions& options) {
  const RowShare& share = options.share;
  if (share.is_whole()) return all;
  const std::int64_t of_row = all.size(0) / share.all;
  return all.narrow(0, of_row * share.first, of_row * share.rows);
}

at::Tensor dropout(const at::Tensor& x, double probability, const ForwardOptions& options) {
  if (!options.training || probability <= 0.0) return x;
  std::vector<std::int64_t> shape = x.sizes().vec();
  if (!options.share.is_whole()) shape[0] = shape[0] / options.share.rows * options.share.all;
  const at::Tensor all =
      at::empty(shape, x.options().device(at::kCPU)).bernoulli_(1.0 - probability, options.generator);
  const at::Tensor keep = own_of_all(all, options);
  return x * keep.div_(1.0 - probability).to(x.device());
}

at::Tensor activate(kernels::Activation kind, const at::Tensor& x) {
  switch (kind) {
    case kernels::Activation::gelu_tanh:
      return at::gelu(x, "tanh");
    case kernels::Activation::gelu:
      return at::gelu(x);
    case kernels::Activation::relu:
      return at::relu(x);
    case kernels::Activation::silu:
      return at::silu(x);
    default:
      return at::tanh(x);
  }
}

namespace {

bool is_quantised(const at::Tensor& weight) {
  return kernels::is_blocks(weight) || weight.scalar_type() == at::kChar;
}

bool has_rows(const kernels::ModuleOffsets& offset, std::size_t m) {
  return offset.on_host()[m + 1] > offset.on_host()[m];
}

/// The maps `which` of a bank, as its products take them.
struct Maps {
  std::vector<at::Tensor> weights;
  c10::intrusive_ptr<kernels::FrozenPanels> frozen;
};

/// The modules that this process has, and which rows are whose.
struct Here {
  std::vector<const Module*> modules;
  const kernels::ModuleOffsets& offset;
};

Here here(const ModuleBank& bank, const Dispatch& dispatch) {
  Here held{{}, dispatch.exchange ? dispatch.exchange->offset() : dispatch.offset};
  for (const Module& module : bank.modules) {
    if (is_here(module, bank)) held.modules.push_back(&module);
  }
  return held;
}

Maps maps_of(const Here& held, at::Tensor Module::*which, const at::Tensor& rows, const ForwardOptions& options) {
  Maps maps;
  maps.weights.reserve(held.modules.size());
  bool lasting = true;  // dequantised weights are gone after the product
  for (std::size_t m = 0; m < held.modules.size(); ++m) {
    const at::Tensor& weight = held.modules[m]->*which;
    const bool used = !is_quantised(weight) || has_rows(held.offset, m);
    maps.weights.push_back(floating(*held.modules[m], which, rows.size(1), rows.scalar_type(), used));
    lasting = lasting && maps.weights.back().is_same(weight);
  }
  if (lasting) maps.frozen = options.frozen_panels;
  return maps;
}

/// What a process without modules makes of no rows: nothing, but with a gradient, since the others wait for that too.
at::Tensor no_rows(const at::Tensor& rows, const at::Tensor& elsewhere) {
  const std::int64_t columns = elsewhere.size(kernels::is_blocks(elsewhere) ? 0 : 1);
  return at::mm(rows, at::zeros({rows.size(1), columns}, rows.options()));
}

/// The rows through the maps `which`.
at::Tensor products(const BankInput& rows, const ModuleBank& bank, at::Tensor Module::*which, const Dispatch& dispatch,
                    const ForwardOptions& options) {
  const Here held = here(bank, dispatch);
  if (held.modules.empty()) return no_rows(rows.values, bank.modules.front().*which);
  const Maps maps = maps_of(held, which, rows.values, options);
  return kernels::grouped_linear(rows.values, held.offset, maps.weights, maps.frozen, rows.again);
}

/// ‖row‖ of each slot: rows [tokens · k, n_embd] → [tokens, k].
at::Tensor norms_by_slot(const at::Tensor& rows, const kernels::ModuleDispatch& dispatch) {
  const at::Tensor norms = at::linalg_vector_norm(rows.detach().to(at::kFloat), 2, {1}, true);
  return kernels::slots_from_rows(norms, dispatch).squeeze(2);
}

}  // namespace

Dispatch dispatch_of(const ModuleBank& bank, const RouterDecision& decision) {
  if (!bank.routed) {
    return {kernels::dispatch_to_all(decision.indices.size(0), bank.size(), decision.indices.device()), std::nullopt};
  }
  Dispatch dispatch{kernels::plan_dispatch(decision.indices, bank.size()), std::nullopt};
  if (bank.group != nullptr) dispatch.exchange.emplace(bank, dispatch);
  return dispatch;
}

BankInput at_modules(const BankInput& rows, const Dispatch& dispatch) {
  return dispatch.exchange ? BankInput{dispatch.exchange->to_modules(rows.values)} : rows;
}

at::Tensor at_tokens(const at::Tensor& rows, const Dispatch& dispatch) {
  return dispatch.exchange ? dispatch.exchange->from_modules(rows) : rows;
}

at::Tensor through_first_maps(const BankInput& rows, const ModuleBank& bank, const Dispatch& dispatch,
                              const ForwardOptions& options) {
  return products(rows, bank, &Module::in, dispatch, options);
}

at::Tensor through_second_maps(const BankInput& rows, const ModuleBank& bank, const Dispatch& dispatch,
                               const ForwardOptions& options, BankTrace& trace) {
  if (dispatch.to_all && !options.norms) {
    const Here held = here(bank, dispatch);
    const Maps maps = maps_of(held, &Module::out, rows.values, options);
    return kernels::grouped_linear_sum(rows.values, held.offset, maps.weights, maps.frozen, rows.again);
  }
  const at::Tensor out = at_tokens(products(rows, bank, &Module::out, dispatch, options), dispatch);
  if (options.norms) trace.output_norms = norms_by_slot(out, dispatch);
  return kernels::combine(out, trace.decision.gates, dispatch);
}

at::Tensor with_module_biases(const at::Tensor& rows, const ModuleBank& bank) {
  if (bank.routed || !bank.modules.front().in_bias.defined()) return rows;
  // Every module has all tokens, one module after the other.
  std::vector<at::Tensor> biases;
  for (const Module& module : bank.modules) biases.push_back(module.in_bias);
  const at::Tensor by_module = rows.view({bank.size(), -1, rows.size(1)});
  return (by_module + at::stack(biases).unsqueeze(1).to(rows.scalar_type())).view_as(rows);
}

at::Tensor with_bias(const at::Tensor& x, const at::Tensor& bias) {
  return bias.defined() ? x + bias.to(x.scalar_type()) : x;
}

namespace {

/// What comes between the two maps, [rows, columns of in] → [rows, rows of out].
at::Tensor between_maps(const ModelConfig& config, const at::Tensor& rows) {
  return config.form.gated ? kernels::gated_activation(rows, activation_of(config.activation_function))
                           : activate(activation_of(config.activation_function), rows);
}

/// The same with how it is made again, where that is cheaper than to keep it: `rows` are kept for gated activations.
BankInput activated(const ModelConfig& config, const at::Tensor& rows) {
  BankInput hidden{between_maps(config, rows)};
  if (!config.form.gated || !at::GradMode::is_enabled()) return hidden;
  hidden.again = {{rows}, [kind = activation_of(config.activation_function)](const std::vector<at::Tensor>& from) {
                    return kernels::gated_activation(from[0], kind);
                  }};
  return hidden;
}

/// A matrix of the shared expert [in, out] for these rows.
at::Tensor shared_map(const at::Tensor& map, const at::Tensor& rows) {
  if (!kernels::is_blocks(map)) return map;
  return kernels::dequantize_blocks(map, rows.size(-1), rows.scalar_type()).t().contiguous();
}

/// The shared expert on x [tokens, n_embd], as a bank of one module that all tokens take.
at::Tensor shared_expert(const ModelConfig& config, const SharedExpert& shared, const at::Tensor& x,
                         const ForwardOptions& options) {
  const std::vector<std::int64_t> all = {0, x.size(0)};
  const at::Tensor input = in_dtype(x, options);
  const at::Tensor hidden = between_maps(config, kernels::grouped_linear(input, all, {shared_map(shared.in, input)}));
  const at::Tensor out = kernels::grouped_linear(hidden, all, {shared_map(shared.out, hidden)});
  if (!shared.gate.defined()) return out;
  return out *
         at::sigmoid(kernels::linear(x.to(shared.gate.scalar_type()), shared.gate.unsqueeze(0))).to(out.scalar_type());
}

}  // namespace

at::Tensor feed_forward(const ModelConfig& config, const Block& block, const BankInput& input,
                        const ForwardOptions& options, BankTrace& trace) {
  const ModuleBank& bank = block.mlp;
  const at::Tensor x = input.values.view({-1, config.n_embd});
  at::Tensor sum;
  if (bank.modules.empty()) {
    sum = at::zeros_like(x);
  } else {
    trace.decision = route(config, bank, x, options);
    const auto dispatch = dispatch_of(bank, trace.decision);
    const at::Tensor rows = kernels::rows_from_tokens(in_dtype(x, options), dispatch);
    const at::Tensor raised = through_first_maps(at_modules({rows, input.again}, dispatch), bank, dispatch, options);
    const BankInput hidden = activated(config, with_module_biases(raised, bank));
    sum = through_second_maps(hidden, bank, dispatch, options, trace);
  }
  if (block.shared.in.defined()) sum = sum + shared_expert(config, block.shared, x, options);
  return with_bias(sum, block.mlp_bias);
}

}  // namespace mformer::layers
