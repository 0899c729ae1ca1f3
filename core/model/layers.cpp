#include "core/model/layers.h"

#include <ATen/ops/empty_like.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/zeros.h>

#include "kernels/grouped_linear.h"
#include "kernels/linear.h"
#include "modules_registry/error.h"

namespace mformer::layers {
namespace {

at::Tensor in_dtype(const at::Tensor& x, const ForwardOptions& options) {
  return options.bfloat16 ? x.to(at::kBFloat16) : x;
}

/// The matrix `which`; that of a quantised module as `dtype`, or just its shape where no row uses it.
at::Tensor floating(const Module& module, at::Tensor Module::*which, at::ScalarType dtype, bool used) {
  const at::Tensor& weight = module.*which;
  if (weight.scalar_type() != at::kChar) return weight;
  if (!used) return at::zeros({}, weight.options().dtype(dtype)).expand(weight.sizes());
  const at::Tensor& scale = which == &Module::in ? module.in_scale : module.out_scale;
  return (weight.to(at::kFloat) * scale).to(dtype);
}

}  // namespace

at::Tensor layer_norm(const at::Tensor& x, const Affine& norm) {
  return at::layer_norm(x, {x.size(-1)}, norm.weight, norm.bias, 1e-5);
}

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                  const ForwardOptions& options) {
  return kernels::linear(in_dtype(x, options), weight, bias.defined() ? bias.to(weight.scalar_type()) : bias);
}

at::Tensor dropout(const at::Tensor& x, double probability, const ForwardOptions& options) {
  if (!options.training || probability <= 0.0) return x;
  const at::Tensor keep =
      at::empty_like(x, x.options().device(at::kCPU)).bernoulli_(1.0 - probability, options.generator);
  return x * keep.div_(1.0 - probability).to(x.device());
}

at::Tensor activate(const std::string& name, const at::Tensor& x) {
  if (name == "gelu_new") return at::gelu(x, "tanh");
  if (name == "gelu") return at::gelu(x);
  if (name == "relu") return at::relu(x);
  if (name == "silu") return at::silu(x);
  if (name == "tanh") return at::tanh(x);
  throw Error("unknown activation_function '" + name + "'", "known: gelu_new, gelu, relu, silu, tanh");
}

at::Tensor through_modules(const at::Tensor& rows, const ModuleBank& bank, at::Tensor Module::*which,
                           const kernels::ModuleDispatch& dispatch, const ForwardOptions& options) {
  std::vector<at::Tensor> weights;
  weights.reserve(bank.modules.size());
  bool lasting = true;  // dequantised weights are gone after the product
  for (std::size_t m = 0; m < bank.modules.size(); ++m) {
    const bool used = dispatch.offset[m + 1] > dispatch.offset[m];
    weights.push_back(floating(bank.modules[m], which, rows.scalar_type(), used));
    lasting = lasting && weights.back().is_same(bank.modules[m].*which);
  }
  return kernels::grouped_linear(rows, dispatch.offset, weights, lasting ? options.frozen_panels : nullptr);
}

at::Tensor norms_by_slot(const at::Tensor& rows, const kernels::ModuleDispatch& dispatch) {
  const at::Tensor norms = at::linalg_vector_norm(rows.detach().to(at::kFloat), 2, {1}, true);
  return kernels::slots_from_rows(norms, dispatch).squeeze(2);
}

at::Tensor feed_forward(const ModelConfig& config, const ModuleBank& bank, const at::Tensor& x,
                        const ForwardOptions& options, BankTrace& trace) {
  trace.decision = route(config, bank, x, options);
  const auto dispatch = kernels::plan_dispatch(trace.decision.indices, static_cast<std::int64_t>(bank.modules.size()));
  const at::Tensor rows = kernels::rows_from_tokens(in_dtype(x, options), dispatch);
  const at::Tensor hidden =
      activate(config.activation_function, through_modules(rows, bank, &Module::in, dispatch, options));
  const at::Tensor out = through_modules(hidden, bank, &Module::out, dispatch, options);
  if (options.norms) trace.output_norms = norms_by_slot(out, dispatch);
  return kernels::combine(out, trace.decision.gates, dispatch);
}

}  // namespace mformer::layers
