#include "core/model/inference.h"

#include <ATen/ops/stack.h>

#include <cmath>

#include "modules_registry/error.h"

namespace mformer {
namespace {

using kernels::PackedWeight;

kernels::Activation activation_of(const std::string& name) {
  if (name == "gelu_new") return kernels::Activation::gelu_tanh;
  if (name == "gelu") return kernels::Activation::gelu;
  if (name == "relu") return kernels::Activation::relu;
  if (name == "silu") return kernels::Activation::silu;
  if (name == "tanh") return kernels::Activation::tanh;
  throw Error("unknown activation_function '" + name + "'", "known: gelu_new, gelu, relu, silu, tanh");
}

at::Tensor as_float32(const at::Tensor& x) {
  return x.defined() ? x.detach().to(at::kFloat).contiguous() : x;
}

Affine as_float32(const Affine& affine) {
  return {as_float32(affine.weight), as_float32(affine.bias)};
}

/// Packs matrices and lets go of them.
class Packer {
 public:
  explicit Packer(at::ScalarType dtype)
      : dtype_(dtype == at::kChar ? at::kBFloat16 : dtype), quantize_(dtype == at::kChar) {}

  at::ScalarType dtype() const { return dtype_; }

  PreparedBlock block(Block& block, const std::string& gate) const {
    PreparedBlock prepared{as_float32(block.ln_1), as_float32(block.ln_2), {}, {}, {}, {}, {}, {}};
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
    const auto [codes, scale] = kernels::quantize_int8(weight.t());
    weight.reset();
    return kernels::pack_int8(codes, scale);
  }

 private:
  /// A dense layer's [out, in].
  PackedWeight linear(at::Tensor& weight) const {
    PackedWeight packed = kernels::pack_transposed(weight, dtype_);
    weight.reset();
    return packed;
  }

  /// A module's [in, out].
  PackedWeight map(at::Tensor& weight, at::Tensor& scale) const {
    PackedWeight packed;
    if (scale.defined()) {
      packed = kernels::pack_int8(weight, scale);
    } else if (quantize_) {
      const auto [codes, scales] = kernels::quantize_int8(weight);
      packed = kernels::pack_int8(codes, scales);
    } else {
      packed = kernels::pack_weight(weight, dtype_);
    }
    weight.reset();
    scale.reset();
    return packed;
  }

  PreparedBank bank(ModuleBank& bank, const std::string& gate) const {
    PreparedBank prepared;
    std::vector<at::Tensor> rows;
    for (Module& module : bank.modules) {
      prepared.in.push_back(map(module.in, module.in_scale));
      prepared.out.push_back(map(module.out, module.out_scale));
      rows.push_back(as_float32(module.row));
    }
    at::Tensor stacked = at::stack(rows);
    if (gate == "gmm") {
      kernels::normalize_rows(stacked);
      prepared.temperature = std::exp(bank.router.temperature.item<float>());
    }
    // Behind a hidden layer the choice is made from float32; otherwise from the normalised input as it is.
    prepared.rows = kernels::pack_transposed(stacked, gate == "linear" ? dtype_ : at::kFloat);
    if (gate != "linear") prepared.router = linear(bank.router.weight);
    prepared.router_bias = as_float32(bank.router.bias);
    return prepared;
  }

  at::ScalarType dtype_;
  bool quantize_;
};

}  // namespace

void prepare_for_inference(Model& model, at::ScalarType dtype) {
  if (model.prepared != nullptr) throw Error("the model is prepared for inference already");
  if (dtype != at::kFloat && dtype != at::kBFloat16 && dtype != at::kChar) {
    throw Error("a model can be prepared for inference in float32, bfloat16 or int8 only");
  }
  const Packer packer(dtype);
  auto prepared = std::make_shared<PreparedModel>();
  prepared->dtype = packer.dtype();
  prepared->activation = activation_of(model.config.activation_function);
  prepared->ln_f = as_float32(model.ln_f);
  for (Block& block : model.blocks) prepared->blocks.push_back(packer.block(block, model.config.gate_type));
  prepared->head = packer.head(model.lm_head);
  model.wte = model.wte.detach().to(packer.dtype()).contiguous();
  model.prepared = std::move(prepared);
}

}  // namespace mformer
