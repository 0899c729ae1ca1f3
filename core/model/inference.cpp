#include "core/model/inference.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/stack.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "core/model/activation.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

using kernels::PackedWeight;

at::Tensor as_float32(const at::Tensor& x) {
  return x.defined() ? x.detach().to(at::kFloat).contiguous() : x;
}

Affine as_float32(const Affine& affine) {
  return {as_float32(affine.weight), as_float32(affine.bias)};
}

/// What was packed already, by the tensor that it was made of, which is kept so that none takes its place.
class PackedAlready {
 public:
  template <typename Pack>
  PackedWeight get(const at::Tensor& weight, const Pack& pack) {
    auto& [kept, packed] = made_[weight.unsafeGetTensorImpl()];
    if (!packed.defined()) kept = weight, packed = pack();
    return packed;
  }

 private:
  std::map<const void*, std::pair<at::Tensor, PackedWeight>> made_;
};

/// Packs matrices and lets go of them.
class Packer {
 public:
  /// `shared`: where models that are packed one after the other have matrices in common; null for one model.
  Packer(at::ScalarType dtype, PackedAlready* shared)
      : dtype_(dtype == at::kChar ? at::kBFloat16 : dtype), quantize_(dtype == at::kChar), shared_(shared) {}

  at::ScalarType dtype() const { return dtype_; }

  PreparedBlock block(Block& block, GateType gate) const {
    PreparedBlock prepared;
    prepared.ln_1 = as_float32(block.ln_1), prepared.ln_2 = as_float32(block.ln_2);
    prepared.q_norm = as_float32(block.q_norm), prepared.k_norm = as_float32(block.k_norm);
    prepared.att_bias = as_float32(block.att_bias), prepared.mlp_bias = as_float32(block.mlp_bias);
    if (block.shared.in.defined()) {
      at::Tensor no_scale;
      prepared.shared_in = map(block.shared.in, no_scale);
      prepared.shared_out = map(block.shared.out, no_scale);
      if (block.shared.gate.defined()) prepared.shared_gate = as_float32(block.shared.gate).unsqueeze(0);
    }
    if (block.k_proj.weight.defined()) {
      prepared.k_proj = linear(block.k_proj.weight);
      prepared.v_proj = linear(block.v_proj.weight);
      prepared.k_bias = as_float32(block.k_proj.bias);
      prepared.v_bias = as_float32(block.v_proj.bias);
    }
    prepared.att = bank(block.att, gate);
    prepared.mlp = bank(block.mlp, gate);
    return prepared;
  }

  PackedWeight head(at::Tensor& weight) const {
    if (!quantize_) return linear(weight);
    return once(weight, [&] {
      const auto [codes, scale] = kernels::quantize_int8(weight.t());
      return kernels::pack_int8(codes, scale);
    });
  }

 private:
  template <typename Pack>
  PackedWeight once(at::Tensor& weight, const Pack& pack) const {
    PackedWeight packed = shared_ == nullptr ? pack() : shared_->get(weight, pack);
    weight.reset();
    return packed;
  }

  /// A dense layer's [out, in].
  PackedWeight linear(at::Tensor& weight) const {
    return once(weight, [&] { return kernels::pack_transposed(weight, dtype_); });
  }

  /// A module's [in, out].
  PackedWeight map(at::Tensor& weight, at::Tensor& scale) const {
    PackedWeight packed = once(weight, [&] {
      if (scale.defined()) return kernels::pack_int8(weight, scale);
      if (!quantize_) return kernels::pack_weight(weight, dtype_);
      const auto [codes, scales] = kernels::quantize_int8(weight);
      return kernels::pack_int8(codes, scales);
    });
    scale.reset();
    return packed;
  }

  PreparedBank bank(ModuleBank& bank, GateType gate) const {
    PreparedBank prepared;
    prepared.routed = bank.routed;
    norms(bank, prepared);
    std::vector<at::Tensor> rows, biases;
    for (Module& module : bank.modules) {
      prepared.in.push_back(map(module.in, module.in_scale));
      prepared.out.push_back(map(module.out, module.out_scale));
      if (module.row.defined()) rows.push_back(as_float32(module.row));
      if (module.in_bias.defined()) biases.push_back(as_float32(module.in_bias));
    }
    if (!biases.empty()) prepared.in_bias = at::stack(biases);
    if (bank.routed) router(bank, gate, rows, prepared);
    return prepared;
  }

  /// Weights of QkNorm::whole: those of queries come first in each module.
  static void norms(const ModuleBank& bank, PreparedBank& prepared) {
    if (bank.modules.empty() || !bank.modules.front().head_norm.defined()) return;
    const std::int64_t queries = bank.modules.front().out.size(0);
    std::vector<at::Tensor> of_queries, of_keys;
    for (const Module& module : bank.modules) {
      const at::Tensor all = as_float32(module.head_norm);
      of_queries.push_back(all.narrow(0, 0, queries));
      of_keys.push_back(all.narrow(0, queries, all.size(0) - queries));
    }
    prepared.query_norm = at::cat(of_queries), prepared.key_norm = at::cat(of_keys);
  }

  void router(ModuleBank& bank, GateType gate, const std::vector<at::Tensor>& rows, PreparedBank& prepared) const {
    at::Tensor stacked = at::stack(rows);
    if (gate == GateType::gmm) {
      kernels::normalize_rows(stacked);
      prepared.temperature = std::exp(bank.router.temperature.item<float>());
    }
    prepared.rows = kernels::pack_transposed(stacked, at::kFloat);  // the choice is made from float32
    if (gate != GateType::linear) prepared.router = linear(bank.router.weight);
    prepared.router_bias = as_float32(bank.router.bias);
  }

  at::ScalarType dtype_;
  bool quantize_;
  PackedAlready* shared_;
};

PreparedModel prepared(Model& model, at::ScalarType dtype, PackedAlready* shared) {
  const Packer packer(dtype, shared);
  PreparedModel made;
  made.config = model.config;
  made.weights = size_of(model).weights;
  made.dtype = packer.dtype();
  made.activation = activation_of(model.config.activation_function);
  made.ln_f = as_float32(model.ln_f);
  for (Block& block : model.blocks) made.blocks.push_back(packer.block(block, model.config.gate_type));
  made.head = packer.head(model.lm_head);
  made.wte = model.wte.detach().to(packer.dtype()).contiguous();
  return made;
}

void require_inference_dtype(at::ScalarType dtype) {
  if (dtype == at::kFloat || dtype == at::kBFloat16 || dtype == at::kChar) return;
  throw Error("a model can be prepared for inference in float32, bfloat16 or int8 only");
}

}  // namespace

PreparedModel prepare_for_inference(Model model, at::ScalarType dtype) {
  require_inference_dtype(dtype);
  return prepared(model, dtype, nullptr);
}

std::vector<PreparedModel> prepare_for_inference(std::vector<Model> views, at::ScalarType dtype) {
  require_inference_dtype(dtype);
  PackedAlready already;
  std::vector<PreparedModel> all;
  for (Model& view : views) all.push_back(prepared(view, dtype, views.size() > 1 ? &already : nullptr));
  return all;
}

ModelSize size_of(const PreparedModel& model) {
  ModelSize size{model.weights, static_cast<std::int64_t>(model.wte.nbytes())};
  std::int64_t others = model.weights - model.wte.numel();  // what is not packed is float32
  for_each_packed(model, [&](const PackedWeight& weight) {
    others -= weight.in * weight.out;
    size.bytes += weight.bytes();
  });
  size.bytes += std::max<std::int64_t>(0, others) * 4;  // a tied head is packed beside the embedding
  return size;
}

}  // namespace mformer
