#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace mformer {

enum class NormKind {
  layer,  ///< (x − mean) / sqrt(variance + ε) · weight + bias
  rms     ///< x / sqrt(mean x² + ε) · weight (arXiv 1910.07467)
};

enum class AttentionKind {
  stick_breaking,  ///< arXiv 2306.04640, section 3.2: no positions
  softmax          ///< causal, scaled
};

enum class QkNorm {
  none,
  whole,  ///< RMS over all queries of a token together, and over all its keys (OLMoE)
  head    ///< RMS over each head (Qwen3)
};

enum class RotaryKind { none, plain, linear, dynamic, llama3, yarn };

/// Rotary positions (arXiv 2104.09864): the halves of a head are turned against each other by position · frequency,
/// frequency i = theta^(−2i / head size). The kinds but plain stretch the frequencies for texts longer than the model
/// was first trained on; core/model/rotary.h has the formulas.
struct Rotary {
  RotaryKind kind = RotaryKind::none;
  double theta = 10'000;
  double factor = 1;                                 ///< All kinds but plain.
  double low_freq_factor = 1, high_freq_factor = 4;  ///< llama3
  double beta_fast = 32, beta_slow = 1;              ///< yarn
  double attention_factor = 0;                       ///< yarn: of cosines and sines; 0 = 0.1 · ln(factor) + 1.
  bool truncate = true;                              ///< yarn: the borders of the blend are whole dimensions.
  std::int64_t original_context = 0;                 ///< llama3, yarn, dynamic: tokens before the stretching.
  bool operator==(const Rotary&) const = default;
};

/// How a block computes, whatever family of models it is from; the defaults are a ModuleFormer. Part of ModelConfig.
/// Every block is x ← x + s · Att(norm x); x ← x + s · Mlp(norm x), s = residual_scale.
///
/// A bank (the modules of one layer and kind) is routed, k of its modules a token by a router; or unrouted: every token
/// takes every module with gate 1, there is no router, and the sum of the modules is a dense layer. Attention modules
/// of unrouted banks have a key and a value of their own, those of routed banks read the keys and values that the layer
/// computes once for all.
struct ModelForm {
  NormKind norm = NormKind::layer;
  double block_eps = 1e-5;  ///< ε of the blocks' norms, and of the norms of queries and keys.
  double final_eps = 1e-5;  ///< ε of the last norm.

  AttentionKind attention = AttentionKind::stick_breaking;
  bool att_routed = true;         ///< False: the attention banks of all layers are unrouted.
  bool kv_bias = true;            ///< The layer's keys and values have biases, where it computes them for all modules.
  QkNorm qk_norm = QkNorm::none;  ///< Before the rotary turn.
  double clip_qkv = 0;            ///< Queries, keys and values lie in ± this; 0 = no limit.
  std::int64_t window = 0;        ///< A query sees keys at a distance below this; 0 = all before it.
  std::vector<std::int64_t> unwindowed_layers;  ///< In which it sees all before it all the same; ascending.
  double attention_scale = 0;                   ///< Of the scores; 0 = 1 / sqrt(head size).
  Rotary rotary;

  bool gated = false;  ///< Feed-forward modules are W_outᵀ(act(gate) · up), `in` being [n_embd, 2 · hidden]: gate, up.
  std::vector<std::int64_t> unrouted_layers;  ///< Their feed-forward banks are unrouted; ascending.
  std::int64_t slice_hidden = 0;              ///< Hidden width of a feed-forward module of an unrouted bank.
  bool top_k_first = false;        ///< Gates are a softmax over the k best logits, not those of one over all modules.
  bool renormalise = false;        ///< The gates of the chosen are divided by their sum.
  std::int64_t shared_hidden = 0;  ///< Width of the expert that all tokens of a routed layer take too; 0 = none.
  bool shared_gate = false;        ///< It is multiplied by a sigmoid of one logit.

  bool in_bias_att = false, in_bias_mlp = false;    ///< Modules of unrouted banks add a bias after `in`.
  bool out_bias_att = false, out_bias_mlp = false;  ///< A layer adds a bias to the sum of its modules.

  double embedding_scale = 1, residual_scale = 1;
  double logit_divisor = 1;

  bool operator==(const ModelForm&) const = default;

  /// The window of this layer, 0 where it has none.
  std::int64_t window_of(std::int64_t layer) const;

  /// Whether the modules of this layer are chosen by a router.
  bool mlp_routed(std::int64_t layer) const;

  /// Fields that have their default are left out.
  nlohmann::json to_json() const;
  /// Throws Error, naming `source`, for an unknown field or a value that has no meaning.
  static ModelForm from_json(const nlohmann::json& document, const std::string& source);
};

}  // namespace mformer
