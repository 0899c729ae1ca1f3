#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "core/formats/choices.h"
#include "core/formats/model_form.h"
#include "modules_registry/records.h"

namespace mformer {

/// The geometry of a model, in the field names and defaults of the ModuleFormer reference's `config.json`, and its form
/// (model_form.h), which says how other families compute. The two *_per_layer arrays are mformer's own and appear only
/// where layers differ.
///
///     ModelConfig config = preset("small");
///     config.vocab_size = tokenizer.vocab_size();
///     config.validate();
struct ModelConfig {
  // Sizes.
  std::int64_t vocab_size = 50295;    ///< Rows of the embedding and of the head.
  std::int64_t block_size = 512;      ///< Tokens of a training sequence: the context length.
  std::int64_t history_length = 512;  ///< Tokens of cached history that the reference allows beside a block.
  std::int64_t n_embd = 1024;         ///< Width of the residual stream (D).
  std::int64_t n_layer = 24;          ///< Blocks (L).
  std::int64_t n_head = 8;            ///< Query heads inside one attention module; divides att_hidden.
  std::int64_t att_hidden = 512;      ///< Width of the queries of one attention module.
  std::int64_t ffd_hidden = 2048;     ///< Hidden width of one feed-forward module of a routed bank.

  // Modules and routers.
  std::int64_t n_att_experts = 32;     ///< Attention modules of a layer; the maximum where layers differ.
  std::int64_t n_mlp_experts = 32;     ///< Feed-forward modules of a layer; the maximum where layers differ.
  std::int64_t k_att = 2;              ///< Attention modules chosen per token.
  std::int64_t k_mlp = 2;              ///< Feed-forward modules chosen per token.
  std::int64_t sample_topk = 0;        ///< In training, how many of the k are drawn at random instead; at most k.
  std::int64_t gating_size = 256;      ///< Hidden width of the `mlp` and `gmm` routers.
  GateType gate_type = GateType::mlp;  ///< Router.
  /// Modules per layer, n_layer entries, each at least k; empty = the scalar holds for every layer.
  std::vector<std::int64_t> n_att_experts_per_layer;
  std::vector<std::int64_t> n_mlp_experts_per_layer;

  // Losses, activations, regularisation.
  BalanceLoss aux_loss_type = BalanceLoss::mi;  ///< Balance loss.
  double aux_loss_weight = 0.0;                 ///< Its weight in the total loss.
  ActivationFunction activation_function = ActivationFunction::gelu_new;
  double resid_pdrop = 0.0;          ///< Dropout on the output of each half block.
  double embd_pdrop = 0.0;           ///< Dropout on the embedding.
  double attn_pdrop = 0.0;           ///< In the file, but the reference never applies it.
  double moe_pdrop = 0.0;            ///< Dropout inside the `mlp` router.
  double layer_norm_epsilon = 1e-5;  ///< In the file, but always 1e-5 in the computation.
  double initializer_range = 0.02;   ///< Standard deviation of fresh weights.

  // What other families have.
  std::string family = "moduleformer";  ///< Whose checkpoints look so: the model_type of core/families.
  ModelForm form;

  // The rest.
  bool use_cache = true;              ///< Whether generation keeps keys and values.
  bool tie_word_embeddings = false;   ///< Whether the head reuses the embedding.
  std::int64_t bos_token_id = 50256;  ///< -1 = none (null in the file).
  std::int64_t eos_token_id = 50256;  ///< -1 = none (null in the file).
  /// Further tokens that end a text: the file then has a list as `eos_token_id`, the one above first.
  std::vector<std::int64_t> more_eos_token_ids;
  std::string torch_dtype = "float32";  ///< Of the weights on disk: "float32", "bfloat16" or "float16".
  /// How matrices are quantised, in the file `quantization_config`; empty = they are of torch_dtype too.
  /// "int8_groups", "int4_groups": all but the routers' are blocks of 8 bits a weight, or of 4 (embedding and head 8),
  /// with a scale for each group of 32 inputs (kernels/quantised_blocks.h). "int8": the two matrices of every module
  /// are int8 codes with a float32 scale for each output channel.
  std::string quantization;
  nlohmann::json extra = nlohmann::json::object();  ///< Fields that mformer does not know, kept for the round trip.

  bool operator==(const ModelConfig&) const = default;

  /// Reads and validates a config.json: the reference's or mformer's own (to_native_json()); core/families reads those
  /// of other families. Absent fields take the reference's defaults. `source` (the path) names the text in errors.
  /// Throws Error on malformed JSON, another model_type, weights quantised by another method than mformer's, a value of
  /// the wrong type, or as validate().
  static ModelConfig from_json(std::string_view text, const std::string& source);

  /// The config.json text, indented, keys sorted, ending in a newline; from_json() of it gives an equal config. That of
  /// a ModuleFormer is as the reference's, any other as to_native_json().
  std::string to_json() const;

  /// mformer's own config.json, which has the form and so tells all about any model: model_type "mformer".
  std::string to_native_json() const;

  /// Throws Error naming the field, its value and the reason, with a hint, when no such model can be built.
  void validate(const std::string& source = "the model's config") const;

  /// Attention modules of layer `layer` (0-based, in range).
  std::int64_t n_att(std::int64_t layer) const;
  /// Feed-forward modules of layer `layer` (0-based, in range).
  std::int64_t n_mlp(std::int64_t layer) const;
  /// Sets both per-layer counts (n_layer entries each): the arrays vanish where all layers are equal, so that the
  /// reference can read the file, and the scalars hold the maximum.
  void set_expert_counts(std::vector<std::int64_t> att, std::vector<std::int64_t> mlp);

  /// Modules of that kind in layer `layer`.
  std::int64_t modules(Kind kind, std::int64_t layer) const { return kind == Kind::att ? n_att(layer) : n_mlp(layer); }
  /// Whether a router chooses among the modules of that bank; otherwise every token takes all of them.
  bool routed(Kind kind, std::int64_t layer) const {
    return kind == Kind::att ? form.att_routed : form.mlp_routed(layer);
  }
  /// Modules chosen per token: all there are where no router chooses.
  std::int64_t chosen(Kind kind, std::int64_t layer) const {
    return routed(kind, layer) ? (kind == Kind::att ? k_att : k_mlp) : modules(kind, layer);
  }
  /// Rows of a module's `out`.
  std::int64_t hidden(Kind kind, std::int64_t layer) const {
    return kind == Kind::att ? att_hidden : form.mlp_routed(layer) ? ffd_hidden : form.slice_hidden;
  }
  /// Columns of a module's `in`: beside an attention module's queries stand its own key and value, beside a gated
  /// feed-forward module's gate what is gated.
  std::int64_t in_width(Kind kind, std::int64_t layer) const {
    if (kind == Kind::mlp) return hidden(kind, layer) * (form.gated ? 2 : 1);
    return form.att_routed ? att_hidden : att_hidden + 2 * head_size();
  }

  /// Whether the layer computes keys and values for its attention modules. Not where each has its own, and not when
  /// they are the block's input itself: att_hidden = n_embd and a single head.
  bool has_kv_projection() const { return form.att_routed && (att_hidden != n_embd || n_head != 1); }
  /// Width of one head.
  std::int64_t head_size() const { return att_hidden / n_head; }
  /// What scores of softmax attention are multiplied by.
  double score_scale() const;

  /// Tokens of a window where nobody says otherwise: the context, but not more than 1,024, since models that can read
  /// much longer texts take memory and time by the window.
  std::int64_t default_context() const { return block_size < 1024 ? block_size : 1024; }

  /// All tokens that end a text, as in the file; empty = none.
  std::vector<std::int64_t> end_tokens() const;
  /// The reverse. Repeated ones are taken once.
  void set_end_tokens(const std::vector<std::int64_t>& ids);

  /// Whether matrices are quantised, in groups or by output channel.
  bool is_quantized() const { return !quantization.empty(); }
  /// Bits a weight of the matrices that are blocks: 8, 4, or 0 where none is. Embedding and head have 8 beside 4.
  int block_bits() const { return quantization == "int8_groups" ? 8 : quantization == "int4_groups" ? 4 : 0; }

  /// All weights of the model, scales aside; the head counts once where it is tied.
  std::int64_t parameter_count() const;
  /// Weights that take part in the computation of one token: k modules of each kind per layer, routers and trunk, and
  /// a single row of the embedding.
  std::int64_t active_parameter_count() const;
};

/// A config.json as a JSON object; throws Error, naming `source`, for anything else and for one that is nested too
/// deep.
nlohmann::json parse_config_object(std::string_view text, const std::string& source);

/// A named geometry; throws UsageError with the known names otherwise.
///   tiny, small, base   for training here; vocab_size and the token ids are placeholders: set them from the tokenizer
///   molm-350m-4b, molm-700m-4b, molm-700m-8b   the published MoLM models (arXiv 2306.04640)
ModelConfig preset(std::string_view name);

/// From the smallest to the largest.
const std::vector<std::string>& preset_names();

}  // namespace mformer
