#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "kernels/activation.h"
#include "kernels/packed_linear.h"
#include "kernels/softmax_top_k.h"

namespace mformer::kernels {

/// Queries of a head of keys that the step takes.
inline constexpr std::int64_t kMostQueries = 16;

/// Feed-forward modules of which a router chooses k for a token, by its input itself.
struct TokenRouter {
  const PackedWeight& rows;  ///< [width, modules], float32
  /// Of each module: [width, slice hidden], where it is gated twice as many columns, and [slice hidden, width].
  const std::vector<PackedWeight>&in, &out;
  std::int64_t k = 1;
  ChoiceForm choice;
  at::Tensor probabilities, chosen, gates;  ///< [modules], [k] int64, [k]: where what it chose is written.
};

/// A layer of which a token takes every attention module, prepared for inference. Biases and norms are float32;
/// undefined = none.
struct TokenLayer {
  const at::Tensor &norm_1, &norm_1_bias, &norm_2, &norm_2_bias;  ///< [width]
  /// [width, key heads · (queries + 2) · head size]: for each head of keys its queries, its key and its value.
  const PackedWeight& in;
  const PackedWeight& out;  ///< [key heads · queries · head size, width]
  const at::Tensor &in_bias, &out_bias;
  const at::Tensor &query_norm, &key_norm;  ///< [head size]: an RMS norm of each head, before the rotary turn.
  /// [width, slices · slice hidden], where they are gated twice as many columns: of each slice gate, then up.
  const PackedWeight& up;
  const PackedWeight& down;  ///< [slices · slice hidden, width]
  const at::Tensor &up_bias, &down_bias;
  /// Room [1, positions, key heads, head size] for keys and values, of the form's dtype, neighbours within a head.
  at::Tensor key, value;
  std::int64_t window = 0;                 ///< As in softmax_attention.
  std::int64_t key_heads = 0, slices = 0;  ///< Attention and feed-forward modules.
  std::int64_t slice_hidden = 0;           ///< Width of a feed-forward module.
  std::optional<TokenRouter> router;       ///< Then there are neither up nor down, but for down_bias.
};

struct TokenForm {
  at::ScalarType dtype = at::kFloat;        ///< float32 or bfloat16: of the factors of products, keys and values.
  bool rms = true;                          ///< RMS norms; otherwise LayerNorms, whose ε is 1e-5.
  double epsilon = 1e-5;                    ///< Of RMS norms.
  std::int64_t queries = 0, head_size = 0;  ///< At most 16 queries a head of keys.
  bool gated = true;
  Activation activation = Activation::silu;
  double score_scale = 1, residual_scale = 1;
};

/// One token through the layers: x ← x + s · out(softmax attention(in(norm₁ x))), x ← x + s · down(act(up(norm₂ x))),
/// s = residual_scale; behind a router Σ gate · down(act(up(norm₂ x))) of those it chooses. x [width], float32,
/// contiguous, in place. `cached`: tokens whose keys and values are in the rooms, to which this token's are added. cos
/// and sin: [head size / 2], float32, of the token's position; undefined = no rotary turn. All in one parallel region;
/// what it gives are the bits of the steps taken one by one (packed_linear, softmax_attention, rotate, gated_activate),
/// where residual_scale is 1: elsewhere to the rounding of one multiplication. No gradients. c10::Error names what does
/// not fit.
void token_step(const TokenForm& form, const std::vector<TokenLayer>& layers, std::int64_t cached,
                const at::Tensor& cos, const at::Tensor& sin, at::Tensor& x);

}  // namespace mformer::kernels
