#include "core/model/outline.h"

#include <ATen/ops/empty.h>

#include <map>

#include "core/formats/parameter_names.h"

namespace mformer {
namespace {

/// Takes the parameters of a config one by one, by name; undefined tensors for those that it does not have.
class Outline {
 public:
  Outline(const ModelConfig& config, at::ScalarType dtype) {
    for (ParameterShape& parameter : parameter_shapes(config)) {
      const at::ScalarType type = parameter.bits != 0                      ? at::kByte
                                  : parameter.codes                        ? at::kChar
                                  : parameter.role == ParameterRole::scale ? at::kFloat
                                                                           : dtype;
      tensors_[std::move(parameter.name)] = at::empty(parameter.shape, at::TensorOptions(type).device(at::kMeta));
    }
  }

  at::Tensor operator()(const std::string& name) const {
    const auto found = tensors_.find(name);
    return found == tensors_.end() ? at::Tensor() : found->second;
  }

  Affine affine(const std::string& name) const { return {(*this)(name + ".weight"), (*this)(name + ".bias")}; }

 private:
  std::map<std::string, at::Tensor> tensors_;
};

ModuleBank outline_bank(const ModelConfig& config, std::int64_t layer, Kind kind, const Outline& take) {
  ModuleBank bank;
  bank.kind = kind;
  bank.k = kind == Kind::att ? config.k_att : config.k_mlp;
  bank.routed = config.routed(kind, layer);
  const std::string router = names::bank(layer, kind) + ".router";
  bank.router = {take(router + ".weight"), take(router + ".bias"), take(router + ".temperature")};
  for (std::int64_t i = 0; i < config.modules(kind, layer); ++i) {
    const std::string name = names::module(layer, kind, i);
    Module module;
    module.in = take(name + ".in"), module.in_scale = take(name + ".in_scale");
    module.out = take(name + ".out"), module.out_scale = take(name + ".out_scale");
    module.row = take(name + ".row"), module.in_bias = take(name + ".in_bias");
    module.head_norm = take(name + ".head_norm");
    bank.modules.push_back(std::move(module));
  }
  return bank;
}

Block outline_block(const ModelConfig& config, std::int64_t layer, const Outline& take) {
  const std::string name = names::layer(layer);
  Block block;
  block.ln_1 = take.affine(name + ".ln_1"), block.ln_2 = take.affine(name + ".ln_2");
  block.k_proj = take.affine(name + ".k_proj"), block.v_proj = take.affine(name + ".v_proj");
  block.q_norm = take(name + ".q_norm"), block.k_norm = take(name + ".k_norm");
  block.att_bias = take(name + ".att_bias"), block.mlp_bias = take(name + ".mlp_bias");
  block.shared = {take(name + ".shared.in"), take(name + ".shared.out"), take(name + ".shared.gate")};
  block.att = outline_bank(config, layer, Kind::att, take);
  block.mlp = outline_bank(config, layer, Kind::mlp, take);
  return block;
}

}  // namespace

Model outline_model(const ModelConfig& config, at::ScalarType dtype) {
  const Outline take(config, dtype);
  Model model;
  model.config = config;
  model.wte = take(std::string(names::kEmbedding));
  for (std::int64_t layer = 0; layer < config.n_layer; ++layer) {
    model.blocks.push_back(outline_block(config, layer, take));
  }
  model.ln_f = take.affine(std::string(names::kFinalNorm));
  model.lm_head = config.tie_word_embeddings ? model.wte : take(std::string(names::kHead));
  return model;
}

}  // namespace mformer
