#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "core/model/forward.h"
#include "core/model/model.h"
#include "kernels/packed_linear.h"
#include "kernels/row_steps.h"

namespace mformer {

/// The modules of one (layer, kind) with their router, packed.
struct PreparedBank {
  kernels::PackedWeight router;  ///< [n_embd, gating_size]; not packed where the gate is linear
  at::Tensor router_bias;        ///< [gating_size] float32 or undefined
  kernels::PackedWeight rows;    ///< [gating_size or n_embd, modules]; the centroids of a gmm gate at unit length
  float temperature = 1;         ///< Logits are multiplied by it.
  std::vector<kernels::PackedWeight> in, out;  ///< Of each module; empty where `whole_in` and `whole_out` hold them.
  /// All modules of an unrouted bank as the dense layer that they are: their `in` side by side, [n_embd, modules ·
  /// columns], their `out` one below the other, [modules · rows, n_embd]. Not packed where modules are apart: where a
  /// router chooses, and where views of one model share some of them.
  kernels::PackedWeight whole_in, whole_out;
  at::Tensor in_bias;               ///< [modules, columns of in] float32 or undefined
  at::Tensor query_norm, key_norm;  ///< QkNorm::whole: of all modules side by side, float32
  bool routed = true;
  std::int64_t modules = 0;

  std::int64_t size() const { return modules; }
};

struct PreparedBlock {
  Affine ln_1, ln_2;                            ///< float32
  kernels::PackedWeight k_proj, v_proj;         ///< Not packed where keys and values are the input itself.
  at::Tensor k_bias, v_bias;                    ///< float32
  at::Tensor q_norm, k_norm;                    ///< float32, QkNorm::head
  at::Tensor att_bias, mlp_bias;                ///< [n_embd] float32 or undefined
  kernels::PackedWeight shared_in, shared_out;  ///< Not packed where there is no shared expert.
  at::Tensor shared_gate;                       ///< [1, n_embd] float32 or undefined
  PreparedBank att, mlp;
};

/// A model that only answers: its weights, each in the order in which its product reads it. Plain data that nothing
/// changes: many readers may share it, and copies share the weights.
struct PreparedModel {
  ModelConfig config;
  at::ScalarType dtype = at::kFloat;  ///< float32 or bfloat16: of the factors of products, keys and values. Sums, the
                                      ///< residual stream, norms and softmax are float32.
  kernels::Activation activation = kernels::Activation::gelu;
  at::Tensor wte;  ///< [vocab_size, n_embd], or blocks of 8 bits (kernels/quantised_blocks.h)
  std::vector<PreparedBlock> blocks;
  Affine ln_f;  ///< float32
  kernels::PackedWeight head;
  std::int64_t weights = 0;  ///< Of the model that it was made of.
};

/// Calls `visit` for every packed weight that takes the place of a parameter (the routers' rows stay where they were).
template <typename Visit>
void for_each_packed(const PreparedModel& prepared, const Visit& visit) {
  for (const PreparedBlock& block : prepared.blocks) {
    for (const PreparedBank* bank : {&block.att, &block.mlp}) {
      visit(bank->router);
      for (const kernels::PackedWeight& weight : bank->in) visit(weight);
      for (const kernels::PackedWeight& weight : bank->out) visit(weight);
      visit(bank->whole_in);
      visit(bank->whole_out);
    }
    for (const kernels::PackedWeight* weight : {&block.k_proj, &block.v_proj, &block.shared_in, &block.shared_out}) {
      visit(*weight);
    }
  }
  visit(prepared.head);
}

/// What prepare_for_inference() takes for four bits a weight.
inline constexpr at::ScalarType kInt4 = at::kQUInt4x2;

/// The model made ready for inference on the CPU in `dtype`, float32 or bfloat16. The matrices are packed and let go
/// one by one (those of an unrouted bank together), so that there are never two copies of all, unless other models hold
/// them. Modules in int8 by output channel stay int8; blocks of 8 and 4 bits become numbers of `dtype`.
/// With dtype int8 or kInt4 all matrices but the routers' are blocks (kernels/quantised_blocks.h): those that are
/// blocks already as they are, the others quantised to 8 bits, or with kInt4 to 4, and the head to 8; the rest is
/// bfloat16. Throws Error for any other dtype, and where a weight has no block.
PreparedModel prepare_for_inference(Model model, at::ScalarType dtype);

/// The same for the views of a model with domains: what they share is packed once.
std::vector<PreparedModel> prepare_for_inference(std::vector<Model> views, at::ScalarType dtype);

/// forward() of core/model/forward.h for a model that only answers: no gradients, dropout or norms. `hidden` has the
/// prepared dtype; routing has what was chosen (probs, indices, gates), without logits and inputs. Throws Error where
/// `options` asks for what it does not do.
ForwardOutput forward(const PreparedModel& model, const at::Tensor& input_ids, const ForwardOptions& options = {});

/// hidden [..., n_embd] → logits [..., vocab_size], float32.
at::Tensor logits_of(const PreparedModel& model, const at::Tensor& hidden);

/// As size_of() of the model that it was made of. Packed weights that models of one mixture share count in each.
ModelSize size_of(const PreparedModel& model);

}  // namespace mformer
