#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "kernels/activation.h"
#include "kernels/cpu/matrix_products.h"
#include "kernels/softmax_top_k.h"

// One token through all layers (kernels/token_step.h), from memory to memory.
namespace mformer::kernels::cpu {

/// A matrix and what is added to its product.
struct StepMatrix {
  RightMatrix w;
  const float* bias = nullptr;  ///< [columns] or null
};

/// weight [width]; bias [width] of a LayerNorm, or null.
struct StepNorm {
  const float* weight = nullptr;
  const float* bias = nullptr;
};

/// The maps of a feed-forward module that a router may choose.
struct StepModule {
  RightMatrix in, out;
};

struct StepRouter {
  RightMatrix rows;  ///< float32
  std::vector<StepModule> modules;
  bool codes = false;  ///< Some module has 8 or 4 bits.
  int64_t k = 1;
  ChoiceForm choice;
  float* probabilities = nullptr;  ///< [modules], where what it chose is written,
  int64_t* chosen = nullptr;       ///< [k]
  float* gates = nullptr;          ///< and [k].
};

struct StepLayer {
  StepNorm norm_1, norm_2;
  StepMatrix in, out;
  StepMatrix up, down;                                     ///< Behind a router only down's bias.
  const float *query_norm = nullptr, *key_norm = nullptr;  ///< [head size], of each head by itself; null = none
  void *key = nullptr, *value = nullptr;                   ///< Position 0 of head 0.
  int64_t position = 0, head = 0;                          ///< Strides of both, in elements.
  int64_t window = 0;                                      ///< Of softmax_attention.
  int64_t key_heads = 0, slices = 0;                       ///< Modules of attention and feed-forward.
  int64_t slice_hidden = 0;                                ///< Width of a feed-forward module.
  std::optional<StepRouter> router;
};

struct StepForm {
  at::ScalarType dtype;  ///< float32 or bfloat16
  bool rms;              ///< Otherwise LayerNorm, whose ε is fixed.
  double epsilon;
  int64_t width;               ///< Of the residual stream.
  int64_t queries, head_size;  ///< So many query heads for each head of keys.
  bool gated;
  Activation activation;
  double score_scale, residual_scale;
};

/// x [width] through the layers, `cached` tokens being in the cache, to which this one is added. cos and sin [head
/// size / 2] of its position; null = none.
void token_step(const StepForm& form, const std::vector<StepLayer>& layers, int64_t cached, const float* cos,
                const float* sin, float* x);

}  // namespace mformer::kernels::cpu
