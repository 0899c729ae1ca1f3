#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/formats/model_config.h"
#include "core/formats/parameter_shapes.h"
#include "modules_registry/records.h"

namespace mformer {

class ProcessGroup;

/// One attention module or one feed-forward module, the unit that is added, frozen, tuned, moved and removed.
struct Module {
  at::Tensor in;   ///< [n_embd, columns]: the query map, with the module's own key and value where attention is not
                   ///< routed; or W_in, with gate and up side by side where it is gated (ModelConfig::in_width).
  at::Tensor out;  ///< [hidden, n_embd]: the output map or W_out.
  at::Tensor row;  ///< [gating_size] (mlp, gmm) or [n_embd] (linear): its row of the router, called centroid in gmm;
                   ///< undefined in an unrouted bank.
  at::Tensor in_bias;    ///< [columns] added after `in`; undefined where the form has none.
  at::Tensor head_norm;  ///< [att_hidden + head size]: its part of the weights of QkNorm::whole, queries then keys.
  /// [hidden] of `in` and [n_embd] of `out`, float32; defined only where those are int8 by output channel: the value of
  /// a weight is its code times the scale of its column (kernels/packed_linear.h). A module that is quantised in groups
  /// has the blocks of the transposes as `in` and `out` (kernels/quantised_blocks.h), and no scales beside them.
  at::Tensor in_scale, out_scale;
  std::string uid;      ///< Lasting identity in the registry; empty for a model that no registry knows.
  bool frozen = false;  ///< No trainer may change `in`, `out` or `row`.
  std::string domain;   ///< The Domain that alone sees it; empty = the base's, which every hypothesis may see.
  std::vector<std::string> hidden_from = {};  ///< Of a base module: domains that have a copy in its place.
  int rank = 0;  ///< In a bank that is spread: the process that has its matrices, ascending within a bank.
};

/// Number of a module's weights, scales aside; of blocks those of whole groups.
std::int64_t weights_of(const Module& module);

/// `to` gets the tensors of `from`, and stays what it is otherwise.
void take_weights(Module& to, const Module& from);

/// What the modules of one (layer, kind) share for choosing among them. Tensors the gate type has no use for are
/// undefined.
struct Router {
  at::Tensor weight;       ///< [gating_size, n_embd] (mlp: B, gmm: W).
  at::Tensor bias;         ///< [gating_size] (mlp: b).
  at::Tensor temperature;  ///< [1] (gmm: logits are cosines times its exp).
};

/// The modules of one (layer, kind) with their router. In an unrouted bank every token takes all modules with gate 1;
/// it may be empty, and then adds nothing.
struct ModuleBank {
  Kind kind = Kind::mlp;
  std::int64_t k = 2;  ///< Modules chosen per token, where a router chooses.
  Router router;
  std::vector<Module> modules;
  bool routed = true;
  /// The processes over which the modules' matrices are spread (core/model/expert_parallel.h), which must outlive the
  /// model; null: all are here.
  ProcessGroup* group = nullptr;

  std::int64_t size() const { return static_cast<std::int64_t>(modules.size()); }
  /// Modules that a token takes.
  std::int64_t chosen() const { return routed ? k : size(); }
  /// The fewest modules that the bank works with.
  std::int64_t least() const { return routed ? k : 0; }
};

/// Affine parameters of a LayerNorm, or weight and bias of a Linear [out, in]; undefined where the model has none.
struct Affine {
  at::Tensor weight;
  at::Tensor bias;
};

/// A feed-forward module that every token takes beside those that the router chooses. Undefined where there is none.
struct SharedExpert {
  at::Tensor in;    ///< [n_embd, shared_hidden], twice as wide where it is gated.
  at::Tensor out;   ///< [shared_hidden, n_embd]
  at::Tensor gate;  ///< [n_embd]: what it puts out is multiplied by sigmoid(x · gate).
};

/// x ← x + Att(norm₁ x); x ← x + Mlp(norm₂ x): ModelForm says how. What a form does not have is undefined.
struct Block {
  Affine ln_1, ln_2;
  Affine k_proj, v_proj;          ///< [att_hidden, n_embd]; undefined also where keys and values are the input itself.
  at::Tensor q_norm, k_norm;      ///< [head size], QkNorm::head
  at::Tensor att_bias, mlp_bias;  ///< [n_embd]
  SharedExpert shared;
  ModuleBank att, mlp;

  ModuleBank& bank(Kind kind) { return kind == Kind::att ? att : mlp; }
  const ModuleBank& bank(Kind kind) const { return kind == Kind::att ? att : mlp; }
};

/// A domain's own copy of a piece of the trunk or of a router.
struct PrivatePart {
  /// As ParameterRef::name: "wte", "lm_head", "ln_f.weight", "h.0.k_proj.weight", "h.0.att.router.bias"; and
  /// "h.0.att.rows" for the router rows of the base modules that the domain sees, [modules, gating_size], in order.
  std::string name;
  at::Tensor rows;   ///< int64 [n]: the rows of "wte" or "lm_head" that `value` replaces; undefined = all of it.
  at::Tensor value;  ///< What the domain has in its place.
};

/// What an extension keeps apart from the rest of the model, so that text of other domains never meets it: the modules
/// of its name (Module::domain) and its private parts. See core/model/domains.h.
struct Domain {
  std::string name;
  bool alone = false;  ///< Its hypothesis sees its own modules only, not the base's.
  std::vector<PrivatePart> parts = {};
  /// Its matrices were rounded to numbers that 8 bits hold, and are stored so (core/checkpoint/eight_bits.h).
  bool eight_bits = false;
};

/// A modular causal language model, a ModuleFormer (arXiv 2306.04640) or of another form: plain data. Copying a Model
/// copies handles: two models may share tensors (a pruned or masked view of another does). core/model/forward.h
/// computes with it.
struct Model {
  ModelConfig config;
  at::Tensor wte;  ///< [vocab_size, n_embd]
  std::vector<Block> blocks;
  Affine ln_f;
  at::Tensor lm_head;  ///< [vocab_size, n_embd]; the same tensor as wte where config.tie_word_embeddings.
  /// Empty for a plain model. Otherwise forward() runs on one of its views, see core/model/domains.h.
  std::vector<Domain> domains;
  /// Matrices are bfloat16 beside float32 norms, routers and embedding (core/model/placement.h): whatever
  /// ForwardOptions::bfloat16 and the losses are told, products are then taken in bfloat16.
  bool bfloat16_matrices = false;
};

/// A parameter and where it belongs. `name` is mformer's own (core/formats/parameter_names.h), stable within a version,
/// used for snapshots and messages.
struct ParameterRef {
  enum class Part { trunk, router, module, domain };  ///< domain: a private part, "domain german/ln_f.weight".

  std::string name;
  at::Tensor* tensor;
  Part part;
  ParameterRole role;        ///< What it is for; of a private part, what the part in whose place it stands is for.
  int layer = -1;            ///< -1 outside the blocks.
  Kind kind = Kind::att;     ///< Of routers and modules.
  std::int64_t module = -1;  ///< Index in its bank.

  /// One of the two matrices of a module.
  bool is_map() const { return role == ParameterRole::map_in || role == ParameterRole::map_out; }
  /// Rows of it belong to tokens.
  bool is_vocabulary() const {
    return part == Part::trunk && (role == ParameterRole::embedding || role == ParameterRole::head);
  }
};

/// Calls `visit` for every parameter, in a fixed order; a tied head comes once, as "wte".
void for_each_parameter(Model& model, const std::function<void(const ParameterRef&)>& visit);

/// As for_each_parameter, collected.
std::vector<ParameterRef> parameters(Model& model);

/// Calls `visit(module)` for every module, by layer, attention modules first.
template <typename Visit>
void for_each_module(Model& model, const Visit& visit) {
  for (Block& block : model.blocks) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      for (Module& module : block.bank(kind).modules) visit(module);
    }
  }
}

/// The numbers of modules that model.config tells become those of the banks; for when modules came or went.
void count_modules(Model& model);

/// Number of weights, scales aside, and bytes that all take in memory.
struct ModelSize {
  std::int64_t weights = 0;
  std::int64_t bytes = 0;
};
ModelSize size_of(const Model& model);

/// Freshly initialised, float32, on the CPU, as the reference does it: normal(0, initializer_range) for Linear and
/// Embedding, zero biases, uniform ±1/in for the modules' maps, normal(0, 1) for gmm centroids. `seed` decides all.
/// Throws Error if the config is invalid.
Model make_model(const ModelConfig& config, std::uint64_t seed);

/// One fresh module for a bank of layer `layer` (fan-in rule as above); `row` included. Draws from the generator given.
Module make_module(const ModelConfig& config, std::int64_t layer, Kind kind, at::Generator& generator);

/// A deep copy that shares no tensor with `model`, without gradients.
Model clone(const Model& model);

/// The dtype of all floating-point parameters becomes `dtype` (new tensors where it differs). Quantised modules keep
/// their int8 codes and float32 scales.
void convert(Model& model, at::ScalarType dtype);

/// The positions of the modules to keep, ascending, for each layer and kind.
struct ModuleSelection {
  std::vector<std::vector<std::int64_t>> att, mlp;
  std::vector<std::vector<std::int64_t>>& of(Kind kind) { return kind == Kind::att ? att : mlp; }
  const std::vector<std::vector<std::int64_t>>& of(Kind kind) const { return kind == Kind::att ? att : mlp; }
};

/// The modules for which `holds(module)` is true.
template <typename Holds>
ModuleSelection modules_where(const Model& model, const Holds& holds) {
  ModuleSelection selection;
  for (const Block& block : model.blocks) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      std::vector<std::int64_t> positions;
      const auto& modules = block.bank(kind).modules;
      for (std::size_t i = 0; i < modules.size(); ++i) {
        if (holds(modules[i])) positions.push_back(static_cast<std::int64_t>(i));
      }
      selection.of(kind).push_back(std::move(positions));
    }
  }
  return selection;
}

/// Every module of the model.
ModuleSelection all_modules(const Model& model);

/// The model made of the selected modules only, sharing all tensors: what a mask on the routers means, and what is
/// left after pruning. The softmax runs over what is selected. With the modules of an earlier version selected (and the
/// rest unchanged) it is that version, bit for bit. Throws Error if a layer would keep fewer than k, or if the model is
/// prepared for inference.
Model select(const Model& model, const ModuleSelection& keep);

}  // namespace mformer
