#include "core/model/inference.h"

#include <ATen/ops/aminmax.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/stack.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "core/model/activation.h"
#include "kernels/quantised_blocks.h"
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

at::Tensor blocks_of(const at::Tensor& weight, int bits) {
  const auto [least, most] = at::aminmax(weight);
  if (least.item<double>() >= -kernels::kMostInBlocks && most.item<double>() <= kernels::kMostInBlocks) {
    return kernels::quantize_blocks(weight, bits);
  }
  throw Error("a weight is not finite or beyond ±65000, which no code of " + std::to_string(bits) + " bits stands for",
              "generate with --dtype float32; a training that went astray is gone back from with mformer undo");
}

/// Packs matrices and lets go of them.
class Packer {
 public:
  /// `shared`: where models that are packed one after the other have matrices in common; null for one model.
  Packer(const ModelConfig& config, at::ScalarType dtype, PackedAlready* shared)
      : config_(config),
        bits_(dtype == kInt4       ? 4
              : dtype == at::kChar ? 8
                                   : 0),
        dtype_(bits_ == 0 ? dtype : at::kBFloat16),
        shared_(shared) {}

  at::ScalarType dtype() const { return dtype_; }

  PreparedBlock block(Block& block, std::int64_t layer) const {
    PreparedBlock prepared;
    prepared.ln_1 = as_float32(block.ln_1), prepared.ln_2 = as_float32(block.ln_2);
    prepared.q_norm = as_float32(block.q_norm), prepared.k_norm = as_float32(block.k_norm);
    prepared.att_bias = as_float32(block.att_bias), prepared.mlp_bias = as_float32(block.mlp_bias);
    if (block.shared.in.defined()) {
      at::Tensor no_scale;
      prepared.shared_in = map(block.shared.in, no_scale, config_.n_embd);
      prepared.shared_out = map(block.shared.out, no_scale, config_.form.shared_hidden);
      if (block.shared.gate.defined()) prepared.shared_gate = as_float32(block.shared.gate).unsqueeze(0);
    }
    if (block.k_proj.weight.defined()) {
      prepared.k_proj = dense(block.k_proj.weight, bits_);
      prepared.v_proj = dense(block.v_proj.weight, bits_);
      prepared.k_bias = as_float32(block.k_proj.bias);
      prepared.v_bias = as_float32(block.v_proj.bias);
    }
    prepared.att = bank(block.att, layer);
    prepared.mlp = bank(block.mlp, layer);
    return prepared;
  }

  /// Rows are read one by one: blocks stay as they are stored where others are blocks, too.
  at::Tensor embedding(const at::Tensor& weight) const {
    if (!kernels::is_blocks(weight)) return weight.detach().to(dtype_).contiguous();
    return bits_ != 0 ? weight : kernels::dequantize_blocks(weight, config_.n_embd, dtype_);
  }

  /// Of all matrices the head decides most about the next token: it has eight bits beside modules of four.
  PackedWeight head(at::Tensor& weight) const { return dense(weight, bits_ == 0 ? 0 : 8); }

 private:
  template <typename Pack>
  PackedWeight once(at::Tensor& weight, const Pack& pack) const {
    PackedWeight packed = shared_ == nullptr ? pack() : shared_->get(weight, pack);
    weight.reset();
    return packed;
  }

  /// A dense layer's [out, in], or its blocks.
  PackedWeight dense(at::Tensor& weight, int bits) const {
    return once(weight, [&] { return packed_rows(weight, config_.n_embd, bits); });
  }

  /// A module's [in, out], or the blocks of its transpose.
  PackedWeight map(at::Tensor& weight, at::Tensor& scale, std::int64_t in) const {
    PackedWeight packed =
        once(weight, [&] { return scale.defined() ? kernels::pack_int8(weight, scale) : packed_map(weight, in); });
    scale.reset();
    return packed;
  }

  PackedWeight packed_rows(const at::Tensor& weight, std::int64_t in, int bits) const {
    if (kernels::is_blocks(weight)) return packed_blocks(weight, in);
    if (bits == 0) return kernels::pack_transposed(weight, dtype_);
    return kernels::pack_blocks(blocks_of(weight, bits), in);
  }

  PackedWeight packed_map(const at::Tensor& weight, std::int64_t in) const {
    if (kernels::is_blocks(weight)) return packed_blocks(weight, in);
    if (bits_ == 0) return kernels::pack_weight(weight, dtype_);
    return kernels::pack_blocks(blocks_of(weight.t(), bits_), in);
  }

  PackedWeight packed_blocks(const at::Tensor& blocks, std::int64_t in) const {
    if (bits_ != 0) return kernels::pack_blocks(blocks, in);
    return kernels::pack_transposed(kernels::dequantize_blocks(blocks, in, dtype_), dtype_);
  }

  PreparedBank bank(ModuleBank& bank, std::int64_t layer) const {
    PreparedBank prepared;
    prepared.routed = bank.routed;
    prepared.modules = bank.size();
    norms(bank, prepared);
    std::vector<at::Tensor> rows, biases;
    for (Module& module : bank.modules) {
      if (module.row.defined()) rows.push_back(as_float32(module.row));
      if (module.in_bias.defined()) biases.push_back(as_float32(module.in_bias));
    }
    if (!biases.empty()) prepared.in_bias = at::stack(biases);
    const std::int64_t hidden = config_.hidden(bank.kind, layer);
    if (is_one_layer(bank, hidden)) {
      prepared.whole_in = whole(bank, &Module::in, config_.n_embd, false);
      prepared.whole_out = whole(bank, &Module::out, bank.size() * hidden, true);
    } else {
      for (Module& module : bank.modules) {
        prepared.in.push_back(map(module.in, module.in_scale, config_.n_embd));
        prepared.out.push_back(map(module.out, module.out_scale, hidden));
      }
    }
    if (bank.routed) router(bank, config_.gate_type, rows, prepared);
    return prepared;
  }

  /// Whether the modules can be packed as the dense layer that they are together: none is shared with another model
  /// that is being packed, and their matrices, blocks of one kind or numbers, join without a seam.
  bool is_one_layer(const ModuleBank& bank, std::int64_t hidden) const {
    if (bank.routed || shared_ != nullptr || bank.modules.empty()) return false;
    const Module& first = bank.modules.front();
    return std::all_of(bank.modules.begin(), bank.modules.end(), [&](const Module& module) {
      const bool seamless = !kernels::is_blocks(module.out) || hidden % kernels::kGroupSize == 0;
      return seamless && !module.in_scale.defined() && joins(module.in, first.in) && joins(module.out, first.out);
    });
  }

  static bool joins(const at::Tensor& one, const at::Tensor& other) {
    return one.scalar_type() == other.scalar_type() && one.sizes() == other.sizes();
  }

  /// The maps `which` side by side, or, `below`, one below the other; the modules let go of theirs.
  PackedWeight whole(ModuleBank& bank, at::Tensor Module::*which, std::int64_t in, bool below) const {
    std::vector<at::Tensor> all;
    for (Module& module : bank.modules) {
      all.push_back((module.*which).detach());
      (module.*which).reset();
    }
    if (kernels::is_blocks(all.front()) && bits_ != 0) return kernels::pack_blocks(all, in, below);
    for (at::Tensor& map : all) {
      if (kernels::is_blocks(map)) map = kernels::dequantize_blocks(map, below ? in / bank.size() : in, dtype_).t();
    }
    return packed_map(all.size() == 1 ? all.front() : at::cat(all, below ? 0 : 1), in);
  }

  /// Weights of QkNorm::whole: those of queries come first in each module.
  void norms(const ModuleBank& bank, PreparedBank& prepared) const {
    if (bank.modules.empty() || !bank.modules.front().head_norm.defined()) return;
    const std::int64_t queries = config_.att_hidden;
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
    if (gate != GateType::linear) prepared.router = dense(bank.router.weight, 0);
    prepared.router_bias = as_float32(bank.router.bias);
  }

  const ModelConfig& config_;
  int bits_;  ///< 0: none is quantised here.
  at::ScalarType dtype_;
  PackedAlready* shared_;
};

PreparedModel prepared(Model& model, at::ScalarType dtype, PackedAlready* shared) {
  PreparedModel made;
  made.config = model.config;
  const Packer packer(made.config, dtype, shared);
  made.weights = size_of(model).weights;
  made.dtype = packer.dtype();
  made.activation = activation_of(model.config.activation_function);
  made.ln_f = as_float32(model.ln_f);
  for (std::size_t l = 0; l < model.blocks.size(); ++l) {
    made.blocks.push_back(packer.block(model.blocks[l], static_cast<std::int64_t>(l)));
  }
  made.head = packer.head(model.lm_head);
  made.wte = packer.embedding(model.wte);
  return made;
}

void require_inference_dtype(at::ScalarType dtype) {
  if (dtype == at::kFloat || dtype == at::kBFloat16 || dtype == at::kChar || dtype == kInt4) return;
  throw Error("a model can be prepared for inference in float32, bfloat16, int8 or int4 only");
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
  std::int64_t others = model.weights - model.config.vocab_size * model.config.n_embd;  // what is not packed is float32
  for_each_packed(model, [&](const PackedWeight& weight) {
    others -= weight.in * weight.out;
    size.bytes += weight.bytes();
  });
  size.bytes += std::max<std::int64_t>(0, others) * 4;  // a tied head is packed beside the embedding
  return size;
}

}  // namespace mformer
